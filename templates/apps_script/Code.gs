/**
 * The menu OWOX of a Sheet that imports TikTok Ads data.
 *
 * It asks the service (the cloud function) and shows what the service answers. It does no work itself, holds no TikTok
 * token, and makes one short call at a time. The service knows its callers by the identity token that Google gives
 * this script for the person at the Sheet; the token goes to the service and nowhere else, and is never shown or
 * logged.
 *
 * Names that end in _ can not be called from the HTML files: that is Apps Script's rule.
 *
 * @typedef {{action: string, start_date?: string, end_date?: string, objects?: string[], dry_run?: boolean, run_id?: string,
 *   choice?: Object<string, string[]>, advertiser_ids?: string[], schedule?: string, metric?: string, value?: string}} Order
 *   what the service is asked to do; the Sheet's id is added here
 * @typedef {{where: string, what: string, what_to_do: string}} Mistake
 * @typedef {{message: string, where: string, what_to_do: string, request_id: string, mistakes: Mistake[],
 *   commands: string[], remedy: string}} Failure  commands: what an administrator types into a terminal to put it right;
 *   remedy: connect, where a new token is what helps
 * @typedef {{status: number, body: Object<string, any>, error: ?Failure, retry_after: number}} Reply
 *   status: HTTP's, or 0 when the service could not be reached; retry_after: seconds, 0 when the service named none
 * @typedef {{audience: string, email: string}} Identity
 * @typedef {{kind: string, hour: number, owner: string}} Schedule  kind: off, hourly, daily or weekdays; owner: e-mail
 */

const ADDRESS = 'service_address';
const CONFIRMED = 'service_address_confirmed';
const SCHEDULE = 'schedule';

// A private service of Google's, or one on this computer. Nothing else gets the identity token.
const CLOUD = /^https:\/\/(?:[a-z0-9-]+\.)+(?:run\.app|cloudfunctions\.net)(?:\/[A-Za-z0-9_-]+)*\/?$/;
// A domain of one's own, or a load balancer: only once a person has said that it is theirs, see saveAddress.
const OWN = /^https:\/\/(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,24}(?:\/[A-Za-z0-9_-]+)*\/?$/;
const COMPUTER = /^http:\/\/(?:127\.0\.0\.1|localhost)(?::\d{1,5})?\/?$/;

const CLIENT_ID = /^[0-9]+-[a-z0-9]+[.]apps[.]googleusercontent[.]com$/;

// --- the menu ------------------------------------------------------------------------------------------------------

/** Put the menu into the Sheet. Google calls this when the Sheet is opened; no service may be used here. */
function onOpen() {
  SpreadsheetApp.getUi()
    .createMenu('OWOX')
    .addItem('Run import', 'runImport')
    .addItem('Backfill…', 'showBackfill')
    .addSeparator()
    .addItem('Choose data…', 'chooseData')
    .addItem('Choose accounts…', 'chooseAccounts')
    .addItem('Schedule…', 'showSchedule')
    .addSeparator()
    .addItem('Show progress', 'showProgress')
    .addItem('Cancel run', 'cancelRun')
    .addSeparator()
    .addItem('Check my numbers', 'checkNumbers')
    .addItem('Why is this number different?', 'explainNumber')
    .addSeparator()
    .addItem('Test connection', 'testConnection')
    .addItem('Clean up old data…', 'showCleanUp')
    .addSeparator()
    .addItem('Connect TikTok…', 'connectTikTok')
    .addItem('Set up…', 'showSetUp')
    .addToUi();
}

/** Start an import and show it. The sidebar asks for the start, so that it is there at once. */
function runImport() {
  watch({action: 'import'});
}

/** Show the run that is on, and those before it. */
function showProgress() {
  watch(null);
}

/** Ask for the days of a backfill, and show what it would read. */
function showBackfill() {
  dialog_('Backfill', 'Backfill', 520, 540);
}

/** Show everything that can be imported, to be searched and ticked. */
function chooseData() {
  sidebar_(HtmlService.createTemplateFromFile('Choose'), 'Choose data');
}

/** Show the ad accounts by name, to be ticked. */
function chooseAccounts() {
  dialog_('Accounts', 'Choose accounts', 460, 480);
}

/** Ask when to import without anybody. */
function showSchedule() {
  dialog_('Schedule', 'Schedule', 420, 380);
}

/** Compare the Sheet with TikTok's totals, and show what came of it. */
function checkNumbers() {
  dialog_('Verify', 'Check my numbers', 640, 480);
}

/** Ask for a number that is seen in Ads Manager, and show what it is. */
function explainNumber() {
  dialog_('Explain', 'Why is this number different?', 520, 560);
}

/** Show whether everything that an import needs is there. */
function testConnection() {
  dialog_('Check', 'Test connection', 560, 400);
}

/** Show what a clean-up would delete, and delete it after a confirmation. */
function showCleanUp() {
  dialog_('Cleanup', 'Clean up old data', 480, 420);
}

/** Stop the running import after the window that it is storing. */
function cancelRun() {
  const ui = SpreadsheetApp.getUi();
  const answer = ui.alert(
    'Cancel the running import?',
    'What is stored stays. The next import continues from there.',
    ui.ButtonSet.YES_NO
  );
  if (answer !== ui.Button.YES) {
    return;
  }
  const reply = ask({action: 'cancel'});
  if (reply.error) {
    tell_('Cancel run', reply.error);
    return;
  }
  watch(null);
}

/** Lead to TikTok, where ad accounts are ticked; the service keeps the token, and nobody sees it. */
function connectTikTok() {
  dialog_('Connect', 'Connect TikTok', 460, 300);
}

/** Ask for the address of the service and test it. */
function showSetUp() {
  dialog_('Setup', 'Set up', 620, 640);
}

// --- what the HTML files may call ------------------------------------------------------------------------------------

/**
 * Show the sidebar; with an order it starts that run first. Dialogs hand their order over to it.
 *
 * @param {?Order} order
 */
function watch(order) {
  const page = HtmlService.createTemplateFromFile('Sidebar');
  page['order'] = order ? JSON.stringify(order) : '';
  sidebar_(page, 'TikTok Ads import');
}

/**
 * Ask the service for one thing.
 *
 * @param {Order} order
 * @return {Reply} never an exception: what went wrong is in its error
 */
function ask(order) {
  const address = PropertiesService.getDocumentProperties().getProperty(ADDRESS) || '';
  if (!address) {
    return failed_(0, {
      message: 'This Sheet does not know its service yet.',
      what_to_do: 'Choose OWOX › Set up… and enter the address of the service.',
    });
  }
  return call_(address, Object.assign({}, order, {spreadsheet_id: SpreadsheetApp.getActive().getId()}));
}

/**
 * Go to a cell that a message names. Of a tab that is called otherwise by now, nothing happens.
 *
 * @param {string} place such as Config!B8
 */
function showCell(place) {
  const found = /^'?(.+?)'?!([A-Z]{1,3}[0-9]+)$/.exec(place);
  const tab = found && SpreadsheetApp.getActive().getSheetByName(found[1].replace(/''/g, "'"));
  if (found && tab) {
    tab.getRange(found[2]).activate();
  }
}

/**
 * The schedule of this Sheet: one for all its people. The service keeps it, or, where it keeps none, this script.
 *
 * @return {{schedule: Schedule, mine: boolean, zone: string, served: boolean, error: ?Failure}}
 */
function scheduleState() {
  const reply = ask({action: 'schedule'});
  const served = reply.status !== 501;
  const kept = schedule_(); // by a trigger, until somebody saves it again
  const schedule = served && (reply.body.by || kept.kind === 'off') ? fromWords_(reply.body.schedule || 'Off', reply.body.by || '') : kept;
  const mine = schedule.owner === identity_(ScriptApp.getIdentityToken()).email;
  return {schedule, mine, zone: (served && reply.body.zone) || zone_(), served, error: served ? reply.error : null};
}

/**
 * Import by a clock. The service starts these imports; where it keeps no schedules, an installable trigger of the person
 * who sets it does. What another person has scheduled ends with it, so that two never import twice: only its owner's
 * trigger does anything, and none where the service keeps the schedule.
 *
 * @param {string} kind off, hourly, daily or weekdays
 * @param {number} hour 0 to 23, in the Sheet's time zone
 * @return {Reply}
 */
function saveSchedule(kind, hour) {
  const owner = identity_(ScriptApp.getIdentityToken()).email;
  const properties = PropertiesService.getDocumentProperties();
  const text = {off: 'Off', hourly: 'Hourly', daily: 'Daily at ', weekdays: 'Weekdays at '}[kind] || 'Off';
  const at = ('0' + hour).slice(-2) + ':00';
  const words = text + (text.endsWith(' ') ? at : '');
  const reply = ask({action: 'schedule', schedule: words});
  if (reply.error && reply.status !== 501) {
    return reply;
  }
  forgetTriggers_();
  if (!reply.error) {
    properties.deleteProperty(SCHEDULE);
    return reply;
  }
  if (kind === 'hourly') {
    ScriptApp.newTrigger('importOnSchedule').timeBased().everyHours(1).create();
  } else if (kind === 'daily' || kind === 'weekdays') {
    ScriptApp.newTrigger('importOnSchedule').timeBased().everyDays(1).atHour(hour).nearMinute(0).inTimezone(zone_()).create();
  }
  if (kind === 'off') {
    properties.deleteProperty(SCHEDULE);
  } else {
    properties.setProperty(SCHEDULE, JSON.stringify({kind, hour, owner}));
  }
  const shown = kind !== 'off' && owner ? words + ' · by ' + owner : words;
  return ask({action: 'fill', schedule: shown});
}

/** What the trigger calls. An exception makes Google write to the trigger's owner. */
function importOnSchedule() {
  const schedule = schedule_();
  if (schedule.owner !== identity_(ScriptApp.getIdentityToken()).email) {
    forgetTriggers_(); // somebody else has taken over
    return;
  }
  if (schedule.kind === 'weekdays' && Number(Utilities.formatDate(new Date(), zone_(), 'u')) > 5) {
    return;
  }
  const reply = ask({action: 'import'});
  if (reply.error && reply.status !== 409) {
    throw new Error([reply.error.message, reply.error.what_to_do].join(' '));
  }
}

/**
 * What Set up… begins with.
 *
 * @return {{address: string, identity: Identity}}
 */
function setUpState() {
  return {
    address: PropertiesService.getDocumentProperties().getProperty(ADDRESS) || '',
    identity: identity_(ScriptApp.getIdentityToken()),
  };
}

/**
 * Keep the address of the service for everybody at this Sheet, and test it.
 *
 * An address outside of Google Cloud gets nobody's identity before a person has confirmed it.
 *
 * @param {string} text
 * @return {{address: string, identity: Identity, reply: Reply}} an empty address when it was refused
 */
function saveAddress(text) {
  const address = String(text).trim().replace(/\/+$/, '');
  if (!allowed_(address) && OWN.test(address) && isTheirs_(address)) {
    PropertiesService.getDocumentProperties().setProperty(CONFIRMED, address);
  }
  const identity = identity_(ScriptApp.getIdentityToken());
  if (!allowed_(address)) {
    const reply = failed_(0, {
      message: 'This is not the address of a Google Cloud service.',
      where: 'Address',
      what_to_do:
        'It begins with https:// and its host ends in .run.app or .cloudfunctions.net; the deployment printed it. ' +
        'A domain of your own has to be confirmed. ' +
        'A service on this computer is http://127.0.0.1 with its port.',
    });
    return {address: '', identity, reply};
  }
  PropertiesService.getDocumentProperties().setProperty(ADDRESS, address);
  return {address, identity, reply: ask({action: 'status'})};
}

/**
 * The content of another HTML file, for a template.
 *
 * @param {string} name
 * @return {string}
 */
function include(name) {
  return HtmlService.createHtmlOutputFromFile(name).getContent();
}

// --- one call ----------------------------------------------------------------------------------------------------------

/**
 * @param {string} address
 * @param {Object<string, any>} payload
 * @return {Reply}
 */
function call_(address, payload) {
  const token = ScriptApp.getIdentityToken();
  if (!allowed_(address) || !token) {
    return failed_(0, {
      message: token ? 'The stored address of the service is not allowed.' : 'Google gave no identity for you.',
      what_to_do: token
        ? 'Choose OWOX › Set up… and enter the address again.'
        : 'Reload the Sheet, choose the command again and allow what Google asks for.',
    });
  }
  let response;
  try {
    response = UrlFetchApp.fetch(address, {
      method: 'post',
      contentType: 'application/json',
      payload: JSON.stringify(payload),
      // Cloud Run may cut the signature off in Authorization; a header of our own passes unchanged.
      headers: {Authorization: 'Bearer ' + token, 'X-Owox-Identity': token},
      followRedirects: false, // the token must not travel on to another address
      muteHttpExceptions: true,
    });
  } catch (error) {
    // The text of the exception is left out: it repeats the address and can be long.
    return failed_(0, {
      message: 'The service could not be reached.',
      where: address,
      what_to_do: 'Try again in a minute. If it persists, check the address in OWOX › Set up…',
    });
  }
  return read_(response, address, identity_(token));
}

/**
 * @param {GoogleAppsScript.URL_Fetch.HTTPResponse} response
 * @param {string} address
 * @param {Identity} identity
 * @return {Reply}
 */
function read_(response, address, identity) {
  const status = response.getResponseCode();
  const wait = retryAfter_(response.getHeaders());
  let body = null;
  try {
    body = JSON.parse(response.getContentText());
  } catch (error) {
    body = null; // the platform answers in HTML
  }
  const ours = body !== null && typeof body === 'object';
  if (ours && status >= 200 && status < 300) {
    return {status, body, error: null, retry_after: 0};
  }
  const failure = ours && body.error ? body.error : fromPlatform_(status, address);
  const reply = failed_(status, failure, wait);
  if (reply.error && (status === 401 || status === 403)) {
    reply.error.commands = remedy_(status, Boolean(ours && body.error), address, identity);
  }
  if (ours) {
    reply.body = body; // a 409 names the run that is on
  }
  return reply;
}

/**
 * What an answer means that does not come from our code.
 *
 * @param {number} status
 * @param {string} address
 * @return {Partial<Failure>}
 */
function fromPlatform_(status, address) {
  /** @type {Object<string, [string, string]>} */
  const known = {
    401: [
      'Google Cloud did not accept the sign-in of this Sheet.',
      'Every copy of the Sheet signs in under an id of its own, which has to be registered with the service once. Ask whoever runs the service to type:',
    ],
    403: [
      'Google Cloud does not let you call the service.',
      'Ask whoever runs the service to add you to the callers of this Sheet, and type:',
    ],
    404: ['There is no service at this address.', 'Check the address in OWOX › Set up…'],
    429: ['The service has no free instance at the moment.', 'Try again in a minute.'],
    504: ['The service did not answer in time.', 'Choose OWOX › Show progress: what was started may still be running.'],
  };
  const fallback = status >= 500
    ? ['The service is not ready.', 'Try again in a minute. If it persists, look in its log.']
    : ['This address does not answer like the service.', 'Check the address in OWOX › Set up…'];
  const [message, whatToDo] = known[status] || fallback;
  return {message: message + ' (HTTP ' + status + ')', where: address, what_to_do: whatToDo};
}

/**
 * The commands that put a refused sign-in right.
 *
 * @param {number} status 401 or 403
 * @param {boolean} ours whether our code refused, and not Google Cloud before it
 * @param {string} address
 * @param {Identity} identity
 * @return {string[]}
 */
function remedy_(status, ours, address, identity) {
  if (COMPUTER.test(address + '/')) {
    return [];
  }
  const service = service_(address);
  if (status === 401) {
    // Google Cloud checks the audience against a list of its own, and then our code against OWOX_AUDIENCES. The second
    // is replaced as a whole, so the ids of other Sheets are read first.
    const id = CLIENT_ID.test(identity.audience) ? identity.audience : 'CLIENT_ID';
    const update = 'gcloud run services update ' + service;
    const known =
      'ids=$(gcloud run services describe ' + service + ' \\\n  --format=json |\n' +
      "  grep -oE '" + CLIENT_ID.source.slice(1, -1) + "' |\n  sort -u | paste -sd, -)\n";
    return [
      ...(ours ? [] : [update + ' \\\n  --add-custom-audiences=' + id]),
      known + update + ' \\\n  --update-env-vars="^@^OWOX_AUDIENCES=' + address + ',${ids:+$ids,}' + id + '"',
    ];
  }
  if (ours) {
    return []; // the registry of the service decides, and its sentence says so
  }
  // The command is pasted into a terminal: an address with unusual characters is left to be filled in.
  const email = /^[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+$/.test(identity.email) ? identity.email : 'YOUR_ADDRESS';
  return [
    'gcloud run services add-iam-policy-binding ' + service + ' \\\n  --role=roles/run.invoker --member=user:' + email,
  ];
}

/**
 * Name, region and project of a service as far as its address tells them, as gcloud's arguments.
 *
 * Three forms: NAME-NUMBER.REGION.run.app, NAME-HASH-xx.a.run.app and REGION-PROJECT.cloudfunctions.net/NAME.
 *
 * @param {string} address
 * @return {string}
 */
function service_(address) {
  const named = /^https:\/\/([a-z0-9-]+)-\d+\.([a-z0-9-]+)\.run\.app/.exec(address);
  if (named) {
    return named[1] + ' --region=' + named[2];
  }
  const hashed = /^https:\/\/([a-z0-9-]+)-[a-z0-9]+-[a-z]+\.a\.run\.app/.exec(address);
  if (hashed) {
    return hashed[1] + ' --region=REGION';
  }
  const called = /^https:\/\/([a-z]+-[a-z]+\d+)-([a-z0-9-]+)\.cloudfunctions\.net\/([A-Za-z0-9_-]+)/.exec(address);
  if (called) {
    return called[3].toLowerCase().replace(/_/g, '-') + ' --region=' + called[1] + ' --project=' + called[2];
  }
  return 'SERVICE --region=REGION';
}

// --- the schedule ------------------------------------------------------------------------------------------------------

/** @return {Schedule} */
function schedule_() {
  const text = PropertiesService.getDocumentProperties().getProperty(SCHEDULE);
  return text ? JSON.parse(text) : {kind: 'off', hour: 6, owner: ''};
}

/**
 * A schedule as the service says it.
 *
 * @param {string} words such as Daily at 06:00
 * @param {string} owner
 * @return {Schedule}
 */
function fromWords_(words, owner) {
  const found = /^(Hourly|Daily|Weekdays)(?: at ([0-9]{2}):00)?$/.exec(words);
  return found ? {kind: found[1].toLowerCase(), hour: Number(found[2] || 6), owner} : {kind: 'off', hour: 6, owner: ''};
}

/** Delete this person's triggers; those of others Google does not show. */
function forgetTriggers_() {
  ScriptApp.getProjectTriggers()
    .filter((one) => one.getHandlerFunction() === 'importOnSchedule')
    .forEach((one) => ScriptApp.deleteTrigger(one));
}

function zone_() {
  return SpreadsheetApp.getActive().getSpreadsheetTimeZone();
}

// --- small things --------------------------------------------------------------------------------------------------------

/**
 * Whether the identity token may go to this address.
 *
 * @param {string} address
 */
function allowed_(address) {
  const confirmed = PropertiesService.getDocumentProperties().getProperty(CONFIRMED);
  return CLOUD.test(address) || COMPUTER.test(address) || (OWN.test(address) && confirmed === address);
}

/**
 * Whether the person says that a domain is their company's.
 *
 * @param {string} address
 */
function isTheirs_(address) {
  const ui = SpreadsheetApp.getUi();
  const answer = ui.alert(
    'Is this the address of your own service?',
    address + ' is not an address of Google Cloud. Everybody who uses this menu would show it who they are. ' +
      'Answer Yes only if your company runs it.',
    ui.ButtonSet.YES_NO
  );
  return answer === ui.Button.YES;
}

/**
 * Who the token says we are. It is read, not checked: that is the service's part.
 *
 * @param {?string} token
 * @return {Identity}
 */
function identity_(token) {
  try {
    const part = String(token).split('.')[1];
    const bytes = Utilities.base64DecodeWebSafe(part + '='.repeat((4 - (part.length % 4)) % 4));
    const claims = JSON.parse(Utilities.newBlob(bytes).getDataAsString());
    return {audience: String(claims.aud || ''), email: String(claims.email || '')};
  } catch (error) {
    return {audience: '', email: ''};
  }
}

/**
 * @param {number} status
 * @param {Partial<Failure>} failure
 * @param {number} [wait] seconds
 * @return {Reply}
 */
function failed_(status, failure, wait) {
  const mistakes = (failure.mistakes || []).map((one) => ({
    where: one.where || '',
    what: ended_(one.what || ''), // stands behind its place
    what_to_do: sentence_(one.what_to_do),
  }));
  const error = {
    message: sentence_(failure.message),
    where: failure.where || '',
    what_to_do: sentence_(failure.what_to_do),
    request_id: failure.request_id || '',
    mistakes,
    commands: [],
    remedy: failure.remedy || '',
  };
  return {status, body: {}, error, retry_after: wait || 0};
}

/**
 * A text as a sentence: the service's begin with a small letter where they may stand behind a colon.
 *
 * @param {string} [text]
 * @return {string}
 */
function sentence_(text) {
  const trimmed = (text || '').trim();
  return ended_(trimmed.charAt(0).toUpperCase() + trimmed.slice(1));
}

/**
 * @param {string} text
 * @return {string}
 */
function ended_(text) {
  return !text || /[.:!?…)]$/.test(text) ? text : text + '.';
}

/**
 * @param {Object<string, any>} headers
 * @return {number} seconds
 */
function retryAfter_(headers) {
  const name = Object.keys(headers).find((one) => one.toLowerCase() === 'retry-after');
  const seconds = name ? Number(headers[name]) : 0;
  return seconds > 0 ? seconds : 0; // a date counts as none
}

/**
 * Say in a plain box what went wrong.
 *
 * @param {string} title
 * @param {Failure} failure
 */
function tell_(title, failure) {
  const several = failure.mistakes.length > 1;
  const mistakes = failure.mistakes.map((one) => '• ' + one.where + ': ' + one.what + ' ' + one.what_to_do);
  const lines = several ? mistakes : [failure.message, failure.where, failure.what_to_do];
  const text = [...lines, ...failure.commands].filter(Boolean).join('\n\n');
  const ui = SpreadsheetApp.getUi();
  ui.alert(title, text, ui.ButtonSet.OK);
}

/**
 * @param {GoogleAppsScript.HTML.HtmlTemplate} page
 * @param {string} title
 */
function sidebar_(page, title) {
  SpreadsheetApp.getUi().showSidebar(page.evaluate().setTitle(title));
}

/**
 * @param {string} file
 * @param {string} title
 * @param {number} width pixels
 * @param {number} height pixels
 */
function dialog_(file, title, width, height) {
  const page = HtmlService.createTemplateFromFile(file).evaluate().setWidth(width).setHeight(height);
  SpreadsheetApp.getUi().showModalDialog(page, title);
}
