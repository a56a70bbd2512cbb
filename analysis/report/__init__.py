"""The report: one page of HTML from one run or several."""
