"""mmcv keeps a logger, with its file and stderr, for a whole process."""

import logging

from mmcv.utils.logging import logger_initialized


def forget_loggers() -> None:
    """Let the next one write to where its own test is captured."""
    for name in list(logger_initialized):
        logger = logging.getLogger(name)
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
            handler.close()
        del logger_initialized[name]
