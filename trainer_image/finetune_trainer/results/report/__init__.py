"""report.html: one run, or several beside each other, in one file that needs no network.

run -> timeline, differences -> curve_charts, timeline_chart -> page -> write
"""
