"""Train and evaluate a system in a source checkout: `python train.py RECIPE [--option value ...]`.

The installed package has the same command as `docre train`. A recipe is the name of a bundled one (`jerex_sample`) or a
YAML file; `python train.py --help` lists all options.
"""

from modeling_docre.training.run import main

if __name__ == "__main__":
    main()
