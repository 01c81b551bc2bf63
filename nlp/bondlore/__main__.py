"""`python -m bondlore`."""

from bondlore.cli import main

raise SystemExit(main())
