"""Everything about Google Sheets: the client, a tab per stream as a destination, and the Sheet that steers imports.

From the ground up; each module uses those below it, and none above:

    setup                           the template's tabs in a spreadsheet: built, repaired, brought up to date
    destination, report             rows into their tabs; status, log and record of a run
    control, lease, portions        what people wrote, as settings; one import at a time; chunks in batches' worth
    template, client, layout, state the template as data; read, and apply once; which cells change; the hidden tab
    table                           a stream's tab: its columns, the keys of its rows
    tabs                            tabs as they were seen, and how one is found again
    requests                        what a batch is made of
    cells                           a cell's value
"""
