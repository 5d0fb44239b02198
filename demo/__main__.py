"""`python -m demo`: see `demo.run`."""

from demo.run import main

if __name__ == "__main__":
    raise SystemExit(main())
