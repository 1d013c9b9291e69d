"""The smallest programs that do what `runa` is compared with. They are run as scripts."""
