"""Let people answer queries: requests, answers in a journal, and a page.

Nothing here imports torch or mmcv, so that the server is small and starts at
once.
"""
