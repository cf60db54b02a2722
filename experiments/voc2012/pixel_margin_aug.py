# Pascal VOC 2012 with the further annotations of SBD: 10,582 images, whose
# label maps lie in two folders.
_base_ = './pixel_margin.py'

lists = 'ImageSets/Segmentation/'
both = dict(
    ann_dir=['SegmentationClass', 'SegmentationClassAug'],
    split=[lists + 'train.txt', lists + 'aug.txt'],
)
data = dict(train=both, query=both)
