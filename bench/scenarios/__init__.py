"""What is measured, a file for each kind; ``catalogue`` lists them all.

A scenario starts the contenders it compares, measures each in every round, one after the other
and never two at once, and yields series. It raises NotYet where there is nothing to measure here.
"""
