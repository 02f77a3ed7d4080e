"""Tests of a testing machine: specimens, predictions, the ranking of candidate laws."""
