"""All benchmarks, or those that are named: `make bench`."""

from transfusion_tf_experiments.benchmarks.suite import main

if __name__ == "__main__":
    main()
