"""The service: what Sheets, schedules and tasks call. One HTTP function over the same ``app`` as the command line.

    handler      one request over HTTP; loads the rest with the first request that needs it
    desk         a request whose sender is known: what it asks, and whether that may be
    actions      what each action does: plan, check, prune, status …
    asked        the words of the contract's requests
    messages     … and those of its answers and errors
    sheet        the spreadsheet a request is about
    identity     who asks: Google-signed identity tokens
    registry     who may do what to which spreadsheet, and with which secret
    registry_file  … as a file on the operator's machine, which the command line checks and edits
    queued       imports that wait in a queue: started, run part by part, put back, given up
    runs         imports within the time of one request
    progress     how far runs are, for those who look
    watch        … and runs that end without a word: the schedule has them looked for
    connect      a person connects TikTok: the public function's pages
    vault        Secret Manager: a token becomes a new version
    fleet        all Sheets at a glance, for operators
    seats        how many runs use one TikTok token at once
    due          when Sheets import without anybody, in one table
    endings      how a run ends: one message, one line in the log, one in the audit log
    ledger       the record of each Sheet's runs, in the central store
    tasks        Cloud Tasks, where imports wait for their turn
    logs         lines for Cloud Logging, without secrets
    stopping     the platform's last ten seconds
    deployment   what the environment says

Nothing is kept between requests but certificates and, for a minute, the registry: how far its rows are lives in a
spreadsheet itself, and the record of its runs in the central store. The emulators in ``local`` take the place of Google
for tests and on a laptop.
"""
