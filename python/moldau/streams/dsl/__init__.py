"""The language: streams, tables, groups and windows as objects whose methods build a topology."""
