"""``python -m owox_tiktok`` is the same as ``owox-tiktok``."""

from owox_tiktok.cli import main

if __name__ == "__main__":
    main()
