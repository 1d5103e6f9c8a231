"""Everything about Google Sheets: the client, a tab per stream as a destination, and the Sheet that steers imports.

From the ground up; each module uses those below it in this list's turn, and none above (``make check`` sees to it):

    cells, errors    a cell's value; what can go wrong
    requests         what a batch is made of
    pace             Google's quota: who may call when
    tabs             tabs as they were seen, and how one is found again
    transport        one request and its answer: gspread and google-auth, loaded with the first call
    table            a stream's tab: its columns, the keys of its rows, how it is made
    client           read, and apply a batch exactly once
    layout           which cells of a person's tab change
    template         the template as data
    seals            what was stored of each day, from cells and in them
    state            the hidden tab with the cursors and seals
    portions         chunks become batches' worth of rows
    lease            one import at a time
    record           how far a run is and what came of the last ones, in a hidden tab
    probe            whether Google does what all of this rests on, tried in a scratch tab
    audit            what is in the tabs, compared with the seals before an import
    control          what people wrote, as settings, each with its cell
    destination      rows into their tabs, with their cursors
    report           what a run writes into its Sheet: status, log, record
    setup            the template's tabs in a spreadsheet: built, repaired, brought up to date
"""
