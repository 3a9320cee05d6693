"""report.html: one run, or several beside each other, in one file that needs no network.

read -> timeline, differences -> charts -> page -> write.
"""
