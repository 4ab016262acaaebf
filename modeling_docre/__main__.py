"""The command line: `docre`, or `python -m modeling_docre`."""

from modeling_docre.commands.app import main

if __name__ == "__main__":
    main()
