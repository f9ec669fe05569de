"""What is wrong with motion that was recorded well enough to be read: lag, drift, broken limits, dead numbers, dips.

recordings (read by the mapping) -> lag -> drift; limits, still, table -> report, in words
"""
