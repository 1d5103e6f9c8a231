#!/usr/bin/env bash
# Put the service into a Google Cloud project, or bring it up to date there: safe to run again at any time.
#
# It makes, all named after --name:
#   NAME, NAME-worker     two Cloud Run functions of the same source: one for Sheets, and the worker that imports
#   NAME-runtime          the account both run as: reads the secrets below, adds tasks to the queue, nothing else
#   NAME-invoker          the account of the queue and the schedule: may call the worker, nothing else
#   NAME-build            the account that builds the source
#   writers               with --registry: the accounts of this project that it names as writers, which NAME-runtime may act for
#   NAME-token-ALIAS      a secret per TikTok token; NAME-registry, NAME-slack-webhook … where they are used
#   NAME, NAME-background two Cloud Tasks queues, the second for schedules and backfills
#   NAME-SPREADSHEET      a Cloud Scheduler job, only for a single Sheet with --daily or --hourly
#   NAME-NUMBER-REGION    a bucket: the record of all runs; NAME-watch, the job that looks after them and starts what is due
#   NAME-connect          with --connect: a public function of the same source and its account, which stores tokens
#   NAME-task-key         a secret by which the worker knows the service's own tasks
#   NAME-runs             a log metric; two alert policies and a dashboard whose titles begin with NAME (monitoring/)
#
# `gcloud run deploy --function` and not `gcloud functions deploy`: only the first knows custom audiences, which the menu
# of a Sheet needs. A token never stands on a command line: it goes from the environment or standard input into a pipe.
set -euo pipefail
export CLOUDSDK_CORE_DISABLE_PROMPTS=1 # what gcloud would ask is answered by options, and standard input may hold a token
from=$PWD
cd "$(dirname "$0")/.."

usage() {
  cat <<'HELP'
Usage: cloud_function/deploy.sh --project P --region R (--spreadsheet ID --caller WHO … | --registry FILE) [options]
       cloud_function/deploy.sh --project P --region R --uninstall

One Sheet:
  --spreadsheet ID        the long text in the Sheet's address after /d/
  --caller WHO            who may use its menu: an e-mail address, or @example.com for a Workspace domain; may be repeated
  --dataset P.D           a BigQuery dataset it may fill; may be repeated
Many Sheets:
  --registry FILE         YAML: per spreadsheet its secret's alias, callers and datasets (docs/security.md)

When imports start automatically (omit it to keep the current schedule). With a registry it is for the Sheets that say
nothing else in their entry or menu, and each Sheet has a minute of its own:
  --daily HH:MM           every day at this time; with a registry HH:00, in that hour
  --hourly                every hour; a single Sheet seven minutes past it
  --no-schedule           never
  --zone ZONE             whose clock --daily means, such as Europe/Berlin [UTC]

  --operator WHO          who may see the page of all Sheets, GET /fleet; may be repeated, and named each time
  --client-id ID          OAuth client id of a Sheet's script, which "Set up…" in its menu shows; may be repeated
  --forget-client-id ID   one that shall not count any more
  --new-token             store the token in the environment as a new version, though there is one
  --name NAME             what everything is named after [owox-tiktok]
  --queue NAME            name of the queue, when the old one was deleted in the last days [NAME]
  --imports-at-once N     [20 for each TikTok token]
  --connect               make "Connect TikTok…" in the menu work, by a small public function; needs TIKTOK_APP_ID and
                          TIKTOK_APP_SECRET once, and then no token has to be given. Name it each time
  --alerts-to ADDRESS     who gets an e-mail when an import needs somebody; may be repeated, and named each time
  --audit-dataset P.D     a BigQuery dataset that gets the audit log as the table tiktok_runs
  --memory SIZE           of the worker [1Gi]
  --dry-run               print every command and run none; takes for granted that nothing is there yet
  --uninstall             list what was made, ask, and delete it; Sheets and datasets stay. With --dry-run: only list it
  --yes                   do not ask
  --help

Secrets come from the environment, or are asked for:
  TIKTOK_ACCESS_TOKEN     and TIKTOK_APP_ID with TIKTOK_APP_SECRET, if accounts are to be found automatically.
                          With a registry one per alias: TIKTOK_ACCESS_TOKEN_ACME for acme
  GOOGLE_CHAT_WEBHOOK_URL, SLACK_WEBHOOK_URL, SMTP_PASSWORD (with SMTP_HOST, SMTP_PORT, SMTP_USER, SMTP_FROM)

Examples:
  cloud_function/deploy.sh --project my-project --region europe-west1 \
    --spreadsheet 1aBcDeFgHiJkLmNoPqRsTuVwXyZ --caller anna@example.com --daily 13:30 --dry-run
  cloud_function/deploy.sh --project my-project --region europe-west1 --registry registry.yaml --hourly
  cloud_function/deploy.sh --project my-project --region europe-west1 --uninstall
HELP
}

say() { printf '%s\n' "$*" >&2; }
stop() {
  say "Stopped: $1"
  exit "${2:-1}"
}

# --- what was asked for ------------------------------------------------------------------------------------------------

project='' region='' name=owox-tiktok queue='' spreadsheet='' registry='' schedule='' at='' zone=UTC at_once='' memory=1Gi
callers='' operators='' datasets='' client_ids='' forgotten='' gone='' alerts_to='' mistakes='' # lists: one entry per line
audit='' dry_run='' uninstall='' yes='' new_token='' connect=''
line=$'\n'

wrong() { mistakes+="  • $1: $2$line"; }

while [ $# -gt 0 ]; do
  case $1 in
    --project | --region | --name | --queue | --spreadsheet | --registry | --daily | --zone | --caller | --operator | --dataset | \
      --client-id | --forget-client-id | --imports-at-once | --memory | --alerts-to | --audit-dataset)
      if [ $# -lt 2 ] || [[ $2 == --* ]]; then
        wrong "$1" 'needs a value after it.'
        shift
        continue
      fi
      case $1 in
        --project) project=$2 ;;
        --region) region=$2 ;;
        --name) name=$2 ;;
        --queue) queue=$2 ;;
        --spreadsheet) spreadsheet=$2 ;;
        --registry)
          registry=$2
          [[ $2 == /* ]] || registry=$from/$2
          ;;
        --daily) schedule+=daily at=$2 ;;
        --zone) zone=$2 ;;
        --caller) callers+=$2$line ;;
        --operator) operators+=$2$line ;;
        --dataset) datasets+=$2$line ;;
        --client-id) client_ids+=$2$line ;;
        --forget-client-id) forgotten+=$2$line ;;
        --imports-at-once) at_once=$2 ;;
        --memory) memory=$2 ;;
        --alerts-to) alerts_to+=$2$line ;;
        --audit-dataset) audit=$2 ;;
      esac
      shift 2
      continue
      ;;
    --hourly) schedule+=hourly ;;
    --no-schedule) schedule+=off ;;
    --new-token) new_token=yes ;;
    --connect) connect=yes ;;
    --dry-run) dry_run=yes ;;
    --uninstall) uninstall=yes ;;
    --yes) yes=yes ;;
    --help | -h)
      usage
      exit 0
      ;;
    # Not shown: somebody may have put a token here.
    *) wrong 'an argument' 'is not an option. Secrets go into the environment, and --help lists the options.' ;;
  esac
  shift
done

# Letters of a shell, of YAML or of gcloud's lists never get into a command: an address with one is refused.
known='[A-Za-z0-9._%+-]*@[A-Za-z0-9.-]+\.[A-Za-z0-9-]+'

like() { [[ $1 =~ ^($2)$ ]]; }
each() { # each LIST PATTERN OPTION ADVICE: every entry has this shape
  local entry
  while IFS= read -r entry; do
    [ -z "$entry" ] || like "$entry" "$2" || wrong "$3" "${entry:0:60} $4"
  done <<<"$1"
}

like "$project" '[a-z][a-z0-9-]{4,28}[a-z0-9]' || wrong --project 'name the project by its id, such as my-project.'
like "$region" '[a-z]+-[a-z]+[0-9]{1,2}' || wrong --region 'name a region, such as europe-west1.'
like "$name" '[a-z][a-z0-9-]{0,15}[a-z0-9]' && [[ $name != *-worker && $name != *-connect ]] ||
  wrong --name 'takes 2 to 17 small letters, digits and hyphens, and ends neither in -worker nor in -connect.'
like "${queue:=$name}" '[A-Za-z0-9-]{1,100}' || wrong --queue 'takes letters, digits and hyphens.'
if [ -z "$uninstall" ]; then
  if [ -n "$registry" ]; then
    [ -z "$spreadsheet$callers$datasets" ] ||
      wrong --registry 'says it all: leave --spreadsheet, --caller and --dataset out.'
    [ -r "$registry" ] || wrong --registry "$registry cannot be read. Name a YAML file."
  else
    like "$spreadsheet" '[A-Za-z0-9_-]{20,100}' ||
      wrong --spreadsheet 'name the Sheet by the long text in its address after /d/, or give a --registry.'
    [ -n "$callers" ] || wrong --caller 'name at least one person who may use the menu.'
  fi
  plain='is neither an e-mail address nor @domain of plain letters, digits and . _ % + -'
  each "$callers" "$known" --caller "$plain"
  each "$operators" "$known" --operator "$plain"
  for variable in SMTP_HOST SMTP_PORT SMTP_USER SMTP_FROM; do
    like "${!variable:-}" '[A-Za-z0-9 ._%+@<>:-]*' ||
      wrong "$variable" 'takes letters, digits and . _ % + @ : - only.'
  done
  each "$alerts_to" '[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z0-9-]+' --alerts-to 'is not an e-mail address of plain letters.'
  each "$audit" '[a-z][a-z0-9-]{4,28}[a-z0-9]\.[A-Za-z0-9_]+' --audit-dataset 'is not project.dataset.'
  each "$datasets" '[a-z][a-z0-9-]{4,28}[a-z0-9]\.[A-Za-z0-9_]+' --dataset 'is not project.dataset.'
  client='[0-9]+-[a-z0-9]+\.apps\.googleusercontent\.com'
  each "$client_ids$forgotten" "$client" --client-id 'is not a client id; it ends in .apps.googleusercontent.com.'
  case $schedule in
    '' | hourly | off) ;;
    daily)
      like "$at" '([01][0-9]|2[0-3]):[0-5][0-9]' || wrong --daily 'takes a time such as 06:15.'
      [ -z "$registry" ] || [[ $at != *:* ]] || [[ $at == *:00 ]] ||
        wrong --daily 'takes a full hour with a registry, such as 06:00: each Sheet has a minute of its own in it.'
      ;;
    *) wrong '--daily, --hourly, --no-schedule' 'use only one of them.' ;;
  esac
  [ -z "$connect" ] || [[ ${TIKTOK_APP_ID:-0} =~ ^[0-9]{1,30}$ ]] || wrong TIKTOK_APP_ID 'is a number.'
  like "$zone" '[A-Za-z_+-]+(/[A-Za-z0-9_+-]+)*' || wrong --zone 'takes a time zone such as Europe/Berlin.'
  like "${at_once:-1}" '[1-9][0-9]?' || wrong --imports-at-once 'takes a number from 1 to 99.'
  like "$memory" '[0-9]+[MG]i' || wrong --memory 'takes a size such as 1Gi.'
fi

# What a registry names, as the service itself reads it.
aliases=default spreadsheets=$spreadsheet writers='' listed=''
program() { # the program of this very source, by a Python that has what it needs
  local python
  for python in "${OWOX_PYTHON:-}" .venv/bin/python python3; do
    if [ -z "$python" ] || ! "$python" -c 'import click, msgspec, yaml' 2>/dev/null; then continue; fi
    "$python" -m owox_tiktok "$@"
    return
  done
  say 'Reading a registry needs the program itself: pip install owox-tiktok, and run owox-tiktok deploy.'
  return 2
}
named() { # named LIST KIND: what a registry names of a kind
  awk -F '\t' -v kind="$2" '$1 == kind { print $2 }' <<<"$1"
}
if [ -n "$registry" ] && [ -r "$registry" ]; then
  if listed=$(program registry list --plain "$registry" 2>&1); then
    aliases=$(named "$listed" secret) spreadsheets=$(named "$listed" spreadsheet) callers=$(named "$listed" caller)
    datasets=$(named "$listed" dataset) client_ids+=$(named "$listed" 'client id')$line writers=$(named "$listed" writer)
    # The service's own accounts have other duties: whoever may act for them could do all of these.
    for one in $writers; do
      ! like "$one" "$name-(runtime|invoker|build|connect)@$project\.iam\.gserviceaccount\.com" ||
        wrong --registry "$one is the service's own and cannot be a writer. Leave writer out, or name another account."
    done
    [ -n "$spreadsheets" ] || wrong --registry "$registry lists no spreadsheet."
    [ -n "$callers" ] || wrong --registry "$registry lists no caller."
  else
    wrong --registry "is not sound.$line$listed"
  fi
fi
: "${at_once:=$((20 * $(grep -c . <<<"$aliases")))}"
[ "$at_once" -le 48 ] || at_once=48 # of each queue, so that both keep within Cloud Run's usual 100 instances

if [ -n "$mistakes" ]; then
  say 'To fix:'
  printf '%s' "$mistakes" >&2
  say 'cloud_function/deploy.sh --help shows what it takes.'
  exit 2
fi
[ -n "$dry_run" ] && [ -z "$uninstall" ] || command -v gcloud >/dev/null ||
  stop 'gcloud is not installed here. Install the Google Cloud CLI, or run this in Cloud Shell.'

runtime=$name-runtime@$project.iam.gserviceaccount.com
invoker=$name-invoker@$project.iam.gserviceaccount.com
connector=$name-connect@$project.iam.gserviceaccount.com # runs the public function, if there is one
build=$name-build@$project.iam.gserviceaccount.com
writer_role=roles/iam.serviceAccountTokenCreator
made_for="Writes Sheets for $name" # the description by which the writers that were made here are known
worker_s=1800 # Cloud Tasks and Cloud Scheduler wait no longer
sheets_s=300
number=\$PROJECT_NUMBER # a dry run asks for nothing, so that its commands look it up
queues_path=projects/$project/locations/$region/queues

# --- asking and doing ---------------------------------------------------------------------------------------------------

step=''
step() {
  step=$1
  say "== $1"
}

shown() { # a command as a shell takes it: what is printed can be pasted
  local word command='' quote="'\\''" known="'\"\$PROJECT_NUMBER\"'"
  for word in "$@"; do
    if ! like "$word" '[A-Za-z0-9_./:=@,-]+'; then
      word="'${word//\'/$quote}'"
      word=${word//\$PROJECT_NUMBER/$known}
    fi
    command+="$word "
  done
  printf '%s\n' "${command% }"
}

run() { # change something; a failure ends everything
  if [ -n "$dry_run" ]; then
    shown "$@"
    return
  fi
  "$@" >/dev/null || stop "could not $step. gcloud says why above. Fix that and run the same command again: what is done stays done."
}

run_again() { # the same for what may need some seconds to be known everywhere, such as a new account
  local try
  [ -n "$dry_run" ] || for try in 3 6 12; do
    "$@" >/dev/null 2>&1 && return
    sleep "$try"
  done
  run "$@"
}

run_while_roles_spread() { # the same for what says no until new roles are known everywhere, which takes minutes at worst
  local try errors failed
  if [ -n "$dry_run" ]; then
    run "$@"
    return
  fi
  errors=$(mktemp)
  for try in 20 40 60 120 0; do
    failed=''
    { "$@" 2>&1 >/dev/null || failed=$?; printf '%s' "$failed" >"$errors.code"; } | tee "$errors" >&2
    failed=$(cat "$errors.code")
    if [ -z "$failed" ] || [ "$try" = 0 ] || ! grep -qiE 'permission.?denied|does not have .*(access|permission)' "$errors"; then
      break
    fi
    say "   the new accounts' roles are not known everywhere yet; again in $try s"
    sleep "$try"
  done
  rm -f "$errors" "$errors.code"
  [ -z "$failed" ] || stop "could not $step. gcloud says why above. Fix that and run the same command again: what is done stays done."
}

ask() { # print what a command prints, or nothing where the thing is not there; in a dry run nothing is there
  [ -z "$dry_run" ] || return 0
  local said errors
  errors=$(mktemp)
  if said=$("$@" 2>"$errors"); then
    rm -f "$errors"
    printf '%s' "$said"
  elif grep -qiE 'NOT_FOUND|not found|does not exist|cannot find' "$errors"; then
    rm -f "$errors"
  else
    cat "$errors" >&2
    rm -f "$errors"
    stop "could not $step. gcloud says why above. Are you signed in (gcloud auth login), and may you see the project?"
  fi
}

members() { # members ROLE RESOURCE…: who has the role there
  local role=$1
  shift
  ask gcloud "$@" --flatten='bindings[].members' --format='value(bindings.role,bindings.members)' | just "$role" 1 2
}

just() { # just VALUE COLUMN WANTED: of the lines with just this value, the other column; gcloud's filters find more
  awk -F '\t' -v value="$1" -v column="$2" -v wanted="$3" '$column == value { print $wanted }'
}

grant() { # grant MEMBER ROLE VERB-GROUP… -- RESOURCE OPTIONS…
  local member=$1 role=$2 group=() condition=() have
  shift 2
  while [ "$1" != -- ]; do
    group+=("$1")
    shift
  done
  shift
  # Only a project's policy tends to hold conditions, and only then gcloud asks.
  [ "${group[0]}" != projects ] || condition=(--condition=None)
  have=$(members "$role" "${group[@]}" get-iam-policy "$@") || exit 1
  grep -qxF "$member" <<<"$have" || run_again gcloud "${group[@]}" add-iam-policy-binding "$@" --member="$member" \
    --role="$role" ${condition[@]+"${condition[@]}"}
}

ours() { # ours LIST…: of these service accounts, those of this project, which alone are made and given roles here
  printf '%s\n' "$@" | grep -E "@$project\.iam\.gserviceaccount\.com\$" || true
}

made_writers() { # the writers that were made here
  ask gcloud iam service-accounts list "${in_project[@]}" --format='value(email,description)' | just "$made_for" 2 1
}

in_project=(--project="$project")
in_region=("${in_project[@]}" --region="$region")
in_location=("${in_project[@]}" --location="$region")

look_up_number() { # the project's number is part of addresses, and of the bucket's name, which nobody else may have
  if [ -n "$dry_run" ]; then
    # shellcheck disable=SC2016
    printf 'PROJECT_NUMBER=$(%s)\n' "$(shown gcloud projects describe "$project" --format='value(projectNumber)')"
    return
  fi
  number=$(ask gcloud projects describe "$project" --format='value(projectNumber)')
  [ -n "$number" ] || stop "there is no project $project that you may see. gcloud projects list shows yours."
}

# --- taking it away -----------------------------------------------------------------------------------------------------

uninstall() {
  local found='' one listed answer listing=$dry_run
  dry_run='' # to list what is there, Google has to be asked
  keep() { found+="$1$line"; }
  step 'find what was created'
  for one in "$name" "$name-worker" "$name-connect"; do
    listed=$(ask gcloud run services describe "$one" "${in_region[@]}" --format='value(metadata.name)') || exit 1
    [ -z "$listed" ] || keep "run services delete $one ${in_region[*]}"
  done
  # Jobs and secrets are known by what only this deployment gives them, so that a longer name's stay.
  listed=$(ask gcloud scheduler jobs list "${in_location[@]}" \
    --format='value(name.basename(),httpTarget.oidcToken.serviceAccountEmail)' | just "$invoker" 2 1) || exit 1
  for one in $listed; do keep "scheduler jobs delete $one ${in_location[*]}"; done
  for one in "$queue" "$queue-background"; do
    listed=$(ask gcloud tasks queues describe "$one" "${in_location[@]}" --format='value(name)') || exit 1
    [ -z "$listed" ] || keep "tasks queues delete $one ${in_location[*]}"
  done
  listed=$(ask gcloud secrets list "${in_project[@]}" --format='value(name.basename(),labels.owox-tiktok)' |
    just "$name" 2 1) || exit 1
  for one in $listed; do keep "secrets delete $one ${in_project[*]}"; done
  listed=$(ask gcloud logging metrics describe "$name-runs" "${in_project[@]}" --format='value(name)') || exit 1
  [ -z "$listed" ] || keep "logging metrics delete $name-runs ${in_project[*]}"
  listed=$(ask gcloud alpha monitoring policies list "${in_project[@]}" --filter="userLabels.owox-tiktok=$name" \
    --format='value(name)') || exit 1
  for one in $listed; do keep "alpha monitoring policies delete $one ${in_project[*]}"; done
  listed=$(ask gcloud beta monitoring channels list "${in_project[@]}" --filter="userLabels.owox-tiktok=$name" \
    --format='value(name)') || exit 1
  for one in $listed; do keep "beta monitoring channels delete $one ${in_project[*]}"; done
  listed=$(ask gcloud monitoring dashboards list "${in_project[@]}" --format='value(displayName,name)' |
    just "$name: imports" 1 2) || exit 1
  for one in $listed; do keep "monitoring dashboards delete $one ${in_project[*]}"; done
  look_up_number
  listed=$(ask gcloud storage buckets describe "gs://$name-$number-$region" "${in_project[@]}" --format='value(name)') || exit 1
  [ -z "$listed" ] || keep "storage rm gs://$name-$number-$region --recursive ${in_project[*]}"
  listed=$(members roles/run.builder projects get-iam-policy "$project") || exit 1
  ! grep -qxF "serviceAccount:$build" <<<"$listed" ||
    keep "projects remove-iam-policy-binding $project --member=serviceAccount:$build --role=roles/run.builder --condition=None"
  listed=$(members roles/bigquery.jobUser projects get-iam-policy "$project") || exit 1
  ! grep -qxF "serviceAccount:$runtime" <<<"$listed" ||
    keep "projects remove-iam-policy-binding $project --member=serviceAccount:$runtime --role=roles/bigquery.jobUser --condition=None"
  listed=$(made_writers) || exit 1
  for one in $listed; do keep "iam service-accounts delete $one ${in_project[*]}"; done
  for one in "$runtime" "$invoker" "$build"; do
    listed=$(ask gcloud iam service-accounts describe "$one" "${in_project[@]}" --format='value(email)') || exit 1
    [ -z "$listed" ] || keep "iam service-accounts delete $one ${in_project[*]}"
  done
  if [ -z "$found" ]; then
    say "There is nothing of $name in $project, $region."
    return
  fi
  printf '%s' "$found" | sed 's/^/gcloud /'
  [ -z "$listing" ] || return 0
  if [ -z "$yes" ]; then
    printf 'Delete all of this for good? Type %s to continue: ' "$name" >&2
    IFS= read -r answer || answer=''
    [ "$answer" = "$name" ] || stop 'nothing was deleted.'
  fi
  while IFS= read -r one; do
    step "gcloud $one"
    # The words hold no spaces: they are names that were checked above, or that Google gave.
    # shellcheck disable=SC2086
    run gcloud $one --quiet </dev/null
  done <<<"${found%"$line"}"
  say 'Deleted. Sheets and datasets are as they were; take the Sheet from the service account, and revoke the TikTok token'
  say '(docs/CREDENTIALS.md). The name of the queue stays taken for some days: --queue gives it another one until then.'
  say 'Built images are in Artifact Registry, repository cloud-run-source-deploy.'
}

if [ -n "$uninstall" ]; then
  uninstall
  exit
fi

# --- secrets ------------------------------------------------------------------------------------------------------------

mounts='' # what --set-secrets gets, one entry per line

secret_there() { # whether it has a version that can be read
  local version
  version=$(ask gcloud secrets versions list "$1" "${in_project[@]}" --filter=state=ENABLED --limit=1 --format='value(name)') ||
    exit 1
  [ -n "$version" ]
}

store() { # store SECRET SOURCE: a new version with what standard input holds; SOURCE stands for it in a dry run
  local there
  there=$(ask gcloud secrets describe "$1" "${in_project[@]}" --format='value(name)') || exit 1
  local command=(gcloud secrets create "$1" "${in_project[@]}" --replication-policy=automatic --labels="owox-tiktok=$name" --data-file=-)
  [ -z "$there" ] || command=(gcloud secrets versions add "$1" "${in_project[@]}" --data-file=-)
  if [ -n "$dry_run" ]; then
    printf '%s | ' "$2"
    shown "${command[@]}"
  else
    "${command[@]}" >/dev/null || stop "could not store the secret $1. gcloud says why above."
  fi
}

mount() { # mount SECRET AS: let the service read it, as a file or a variable
  grant "serviceAccount:$runtime" roles/secretmanager.secretAccessor secrets -- "$1" "${in_project[@]}"
  mounts+="$2=$1:latest$line"
}

token() { # token ALIAS
  local secret=$name-token-$1 suffix='' access app_id app_secret
  [ "$1" = default ] || suffix=_$(tr 'a-z-' 'A-Z_' <<<"$1")
  access=TIKTOK_ACCESS_TOKEN$suffix app_id=TIKTOK_APP_ID$suffix app_secret=TIKTOK_APP_SECRET$suffix
  step "keep the TikTok token $1"
  if [ -n "$dry_run" ]; then
    store "$secret" "printf %s \"\$$access\""
  elif [ -n "$new_token" ] && [ -n "${!access:-}" ] || ! secret_there "$secret"; then
    local value=${!access:-}
    if [ -z "$value" ] && [ -n "$connect" ]; then
      # The first one comes from TikTok; until then the secret holds what says that there is none.
      printf '\n' | store "$secret" ''
      mount "$secret" "/secrets/$1/token"
      return
    fi
    if [ -z "$value" ]; then
      printf 'TikTok access token for %s (it stays invisible): ' "$1" >&2
      IFS= read -rs value || true
      say ''
    fi
    [[ $value =~ ^[^[:space:]]+$ ]] ||
      stop "there is no TikTok token for $1. Set $access in the environment, or paste it when asked." 2
    if [ -n "${!app_secret:-}" ]; then
      printf 'TIKTOK_ACCESS_TOKEN=%s\nTIKTOK_APP_ID=%s\nTIKTOK_APP_SECRET=%s\n' "$value" "${!app_id:-}" "${!app_secret}"
    else
      printf %s "$value"
    fi | store "$secret" ''
  fi
  mount "$secret" "/secrets/$1/token"
}

optional() { # optional VARIABLE SECRET: kept when it is in the environment, mounted when it is kept
  if [ -n "$dry_run" ]; then
    [ -n "${!1:-}" ] || return 0
    store "$2" "printf %s \"\$$1\""
  elif [ -n "${!1:-}" ] && { [ -n "$new_token" ] || ! secret_there "$2"; }; then
    printf %s "${!1}" | store "$2" ''
  elif ! secret_there "$2"; then
    return 0
  fi
  mount "$2" "$1"
}

# --- the two functions --------------------------------------------------------------------------------------------------

source_digest() { # a fingerprint of what is deployed
  local sum=(sha256sum)
  command -v sha256sum >/dev/null || sum=(shasum -a 256)
  {
    find cloud_function owox_tiktok requirements.txt -type f ! -name '*.sh' ! -path '*/__pycache__/*' ! -path 'owox_tiktok/local/*' |
      LC_ALL=C sort | xargs "${sum[@]}"
    printf '%s\n' "$@"
  } | "${sum[@]}" | cut -c1-40
}

expect_address() { # expect_address SERVICE URL
  local said
  [ -z "$dry_run" ] || return 0
  said=$(ask gcloud run services describe "$1" "${in_region[@]}" --format='value(status.url,metadata.annotations)')
  [[ $said == *"$2"* ]] || stop "Cloud Run gave $1 the address ${said%%$'\t'*} and not $2, under which it knows itself."
}

deploy() { # deploy SERVICE OPTION…: unless just this is deployed already
  local service=$1 digest deployed
  shift
  digest=$(source_digest "$@")
  deployed=$(ask gcloud run services describe "$service" "${in_region[@]}" --format='value(metadata.labels.owox-digest)') || exit 1
  if [ "$deployed" = "$digest" ]; then
    say "   unchanged"
    return
  fi
  local deploy=run
  [ -n "$deployed" ] || deploy=run_while_roles_spread
  $deploy gcloud run deploy "$service" "${in_region[@]}" --source=. --function=owox --base-image=python313 \
    --set-build-env-vars=GOOGLE_FUNCTION_SOURCE=cloud_function/main.py \
    --build-service-account="projects/$project/serviceAccounts/$build" --service-account="$as" \
    "$admits" --min-instances=0 --cpu=1 --cpu-boost \
    --update-labels="owox-tiktok=$name,owox-digest=$digest" "$@" --quiet
}

variables() { # NAME=VALUE… for --update-env-vars; the bar divides, since values hold commas
  local joined='' one
  for one in "$@"; do joined+="${joined:+|}$one"; done
  printf '^|^%s' "$joined"
}

joined() { # a list in one line, separated by commas
  local all
  all=$(grep . <<<"$1" | tr '\n' ',') || true
  printf %s "${all%,}"
}

# --- all of it ----------------------------------------------------------------------------------------------------------

step "look at the project $project"
look_up_number
# Cloud Run's addresses that are known beforehand; it may show another one for the same service.
sheets_url=https://$name-$number.$region.run.app
worker_url=https://$name-worker-$number.$region.run.app

kept='' gone_writers=''
if [ -n "$registry" ] && [ -z "$dry_run" ]; then
  step 'look at the registry'
  before=$(mktemp)
  kept=$(ask gcloud secrets versions access latest --secret="$name-registry" "${in_project[@]}") || exit 1
  if [ -n "$kept" ]; then
    printf '%s\n' "$kept" >"$before"
    if was=$(program registry list --plain "$before" 2>&1); then
      program registry diff "$registry" "$before" | sed 's/^/   /' >&2
      # Scripts that only the old one names do not count any more.
      forgotten+=$(named "$was" 'client id' | grep -vxF "${client_ids:-none}") || true
      gone=$(named "$was" dataset | grep -vxF "${datasets:-none}") || true
      gone_writers=$(named "$was" writer | grep -vxF "${writers:-none}") || true
    fi
  fi
  rm -f "$before"
fi

step 'switch on the APIs'
missing=()
enabled=$(ask gcloud services list "${in_project[@]}" --enabled --format='value(config.name)')
for api in run cloudbuild artifactregistry secretmanager cloudtasks cloudscheduler storage sheets iam logging monitoring \
  ${datasets:+bigquery} ${writers:+iamcredentials}; do
  grep -qx "$api.googleapis.com" <<<"$enabled" || missing+=("$api.googleapis.com")
done
[ ${#missing[@]} -eq 0 ] || run gcloud services enable "${missing[@]}" "${in_project[@]}"

step 'create the service accounts'
account() { # account ID WHAT-FOR [DESCRIPTION]
  local there
  there=$(ask gcloud iam service-accounts describe "$1@$project.iam.gserviceaccount.com" "${in_project[@]}" --format='value(email)') ||
    exit 1
  [ -n "$there" ] || run gcloud iam service-accounts create "$1" "${in_project[@]}" --display-name="$2" ${3:+--description="$3"}
}
account "$name-runtime" 'TikTok Ads imports: runs them'
account "$name-invoker" 'TikTok Ads imports: starts them'
account "$name-build" 'TikTok Ads imports: builds the service'
[ -z "$connect" ] || account "$name-connect" 'TikTok Ads imports: stores tokens that people grant'
grant "serviceAccount:$build" roles/run.builder projects -- "$project"
grant "serviceAccount:$runtime" roles/iam.serviceAccountUser iam service-accounts -- "$invoker" "${in_project[@]}"
[ -z "$datasets" ] || grant "serviceAccount:$runtime" roles/bigquery.jobUser projects -- "$project"
for one in $(ours "$writers"); do
  account "${one%@*}" 'TikTok Ads imports: writes Sheets' "$made_for"
  grant "serviceAccount:$runtime" "$writer_role" iam service-accounts -- "$one" "${in_project[@]}"
done

for alias in $aliases; do token "$alias"; done

step 'keep the other secrets'
if [ -n "$registry" ]; then
  secret=$name-registry
  if [ -n "$dry_run" ]; then
    store "$secret" "$(shown cat "$registry")"
  else
    [ "$kept" = "$(cat "$registry")" ] || store "$secret" '' <"$registry"
  fi
  mount "$secret" /registry/registry.yaml
fi
random="head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \\n'"
if [ -n "$dry_run" ]; then
  store "$name-task-key" "$random"
elif ! secret_there "$name-task-key"; then
  head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' | store "$name-task-key" ''
fi
mount "$name-task-key" OWOX_TASK_KEY
[ -z "$connect" ] || {
  grant "serviceAccount:$connector" roles/secretmanager.secretAccessor secrets -- "$name-task-key" "${in_project[@]}"
  [ -z "$registry" ] ||
    grant "serviceAccount:$connector" roles/secretmanager.secretAccessor secrets -- "$name-registry" "${in_project[@]}"
  if [ -n "$dry_run" ]; then
    store "$name-app-secret" "printf %s \"\$TIKTOK_APP_SECRET\""
  elif [ -n "${TIKTOK_APP_SECRET:-}" ] && { [ -n "$new_token" ] || ! secret_there "$name-app-secret"; }; then
    printf %s "$TIKTOK_APP_SECRET" | store "$name-app-secret" ''
  elif ! secret_there "$name-app-secret"; then
    stop 'there is no TIKTOK_APP_SECRET in the environment, and --connect needs it once.' 2
  fi
  grant "serviceAccount:$connector" roles/secretmanager.secretAccessor secrets -- "$name-app-secret" "${in_project[@]}"
  for alias in $aliases; do
    grant "serviceAccount:$connector" roles/secretmanager.secretVersionAdder secrets -- "$name-token-$alias" "${in_project[@]}"
  done
}
optional GOOGLE_CHAT_WEBHOOK_URL "$name-google-chat-webhook"
optional SLACK_WEBHOOK_URL "$name-slack-webhook"
optional SMTP_PASSWORD "$name-smtp-password"

step 'create the queues'
# People's imports wait in one, schedules and backfills in the other; the service itself bounds how many use a TikTok token
# at once. An import that fails is tried again after 10 s, 20 s … 5 minutes.
wanted="$at_once 5.0 10 10s 300s 3"
for one in "$queue" "$queue-background"; do
  there=$(ask gcloud tasks queues describe "$one" "${in_location[@]}" --format='value(rateLimits.maxConcurrentDispatches,rateLimits.maxDispatchesPerSecond,retryConfig.maxAttempts,retryConfig.minBackoff,retryConfig.maxBackoff,retryConfig.maxDoublings)')
  if [ "$(tr '\t' ' ' <<<"$there")" != "$wanted" ]; then
    verb=create
    [ -z "$there" ] || verb=update
    run gcloud tasks queues $verb "$one" "${in_location[@]}" --max-concurrent-dispatches="$at_once" \
      --max-dispatches-per-second=5 --max-attempts=10 --min-backoff=10s --max-backoff=300s --max-doublings=3
  fi
  grant "serviceAccount:$runtime" roles/cloudtasks.enqueuer tasks queues -- "$one" "${in_location[@]}"
done

step 'create the bucket for the record of runs'
bucket=gs://$name-$number-$region
there=$(ask gcloud storage buckets describe "$bucket" "${in_project[@]}" --format='value(name)')
# The records are written over and over: deleted versions must not stay, and be paid for, for a week.
[ -n "$there" ] || run gcloud storage buckets create "$bucket" "${in_project[@]}" --location="$region" \
  --uniform-bucket-level-access --public-access-prevention --soft-delete-duration=0
grant "serviceAccount:$runtime" roles/storage.objectUser storage buckets -- "$bucket" "${in_project[@]}"
[ -z "$connect" ] ||
  grant "serviceAccount:$connector" roles/storage.objectCreator storage buckets -- "$bucket" "${in_project[@]}"

if [ -n "$registry" ]; then
  config=(OWOX_REGISTRY=/registry/registry.yaml)
  case $schedule in # omitted, the variable stays as it is
    hourly) config+=(OWOX_SCHEDULE=Hourly) ;;
    daily) config+=("OWOX_SCHEDULE=Daily at $at in $zone") ;;
    off) config+=(OWOX_SCHEDULE=Off) ;;
  esac
  other=('--remove-env-vars=OWOX_SPREADSHEET_ID,OWOX_CALLERS,OWOX_DATASETS')
else
  config=("OWOX_SPREADSHEET_ID=$spreadsheet" "OWOX_CALLERS=$(joined "$callers")" "OWOX_DATASETS=$(joined "$datasets")")
  other=('--remove-env-vars=OWOX_REGISTRY,OWOX_SCHEDULE')
fi
# The worker sends messages about runs; the service for Sheets says in "Test connection" what they lack.
mail=()
for variable in SMTP_HOST SMTP_PORT SMTP_USER SMTP_FROM; do
  [ -z "${!variable:-}" ] || mail+=("$variable=${!variable}")
done

queue_knows=("OWOX_TASKS_QUEUE=$queues_path/$queue" "OWOX_BACKGROUND_QUEUE=$queues_path/$queue-background"
  "OWOX_TASKS_ACCOUNT=$invoker" "OWOX_WORKER_URL=$worker_url" "OWOX_STORE=$bucket")

as=$runtime admits=--no-allow-unauthenticated # whom deploy has a function run as, and whether everybody may call it
connects=() # what tells the service for Sheets where people connect TikTok
if [ -n "$connect" ]; then
  connects=("OWOX_CONNECT_URL=https://$name-connect-$number.$region.run.app")
fi

step 'deploy the worker, which imports (some minutes)'
# One import per instance; some instances more, for starts that come while all imports run.
# Only Google's own services in this project reach it: Cloud Tasks and Cloud Scheduler.
deploy "$name-worker" --ingress=internal --timeout="$worker_s" --concurrency=1 --max-instances=$((2 * at_once + 4)) --memory="$memory" \
  --set-secrets="$(joined "$mounts")" "${other[@]}" --update-env-vars="$(variables OWOX_ROLE=worker "${config[@]}" \
    "${queue_knows[@]}" "OWOX_AUDIENCES=$worker_url" OWOX_PLATFORM_ADMITS=yes "OWOX_TIMEOUT_SECONDS=$worker_s" ${mail[@]+"${mail[@]}"})"
expect_address "$name-worker" "$worker_url"

step 'deploy the service that Sheets call (some minutes)'
# The scripts that an earlier run registered still count.
there=$(ask gcloud run services describe "$name" "${in_region[@]}" --format=json)
client_ids=$({ printf '%s' "$client_ids" && grep -oE "$client" <<<"$there"; } | sort -u | grep -vxF "${forgotten:-none$line}") || true
audiences=(--clear-custom-audiences)
[ -z "$client_ids" ] || audiences=(--set-custom-audiences="$(joined "$client_ids")")
# The framework starts 4 threads on a CPU; the one for Sheets waits for Google most of the time, and answers 8 at once.
deploy "$name" --ingress=all --timeout="$sheets_s" --concurrency=8 --max-instances=5 --memory=512Mi \
  --set-secrets="$(joined "$mounts")" "${other[@]}" "${audiences[@]}" \
  --update-env-vars="$(variables OWOX_ROLE=sheets "${config[@]}" "${queue_knows[@]}" \
    "OWOX_AUDIENCES=$(joined "$sheets_url$line$client_ids")" "OWOX_TIMEOUT_SECONDS=$sheets_s" THREADS=8 \
    "OWOX_OPERATORS=$(joined "$operators")" ${connects[@]+"${connects[@]}"} ${mail[@]+"${mail[@]}"})"
expect_address "$name" "$sheets_url"

if [ -n "$connect" ]; then
  step 'deploy the public function of "Connect TikTok…" (some minutes)'
  there=$(ask gcloud run services describe "$name-connect" "${in_region[@]}" --format=json | tr -d ' \n')
  app_id=${TIKTOK_APP_ID:-$(grep -oE 'TIKTOK_APP_ID[^0-9]{1,60}[0-9]{1,30}' <<<"$there" | grep -oE '[0-9]+$' | head -n 1)} || true
  [ -n "$app_id$dry_run" ] || stop 'there is no TIKTOK_APP_ID in the environment, and --connect needs it once.' 2
  public="OWOX_TASK_KEY=$name-task-key:latest,TIKTOK_APP_SECRET=$name-app-secret:latest"
  [ -z "$registry" ] || public+=",/registry/registry.yaml=$name-registry:latest"
  as=$connector admits=--allow-unauthenticated
  deploy "$name-connect" --ingress=all --timeout=60 --concurrency=8 --max-instances=2 --memory=512Mi \
    --set-secrets="$public" "${other[@]}" --update-env-vars="$(variables OWOX_ROLE=connect "${config[@]}" "${connects[@]}" \
      "OWOX_STORE=$bucket" "OWOX_SECRET_PREFIX=projects/$project/secrets/$name-token-" "TIKTOK_APP_ID=${app_id:-APP_ID}")"
  expect_address "$name-connect" "https://$name-connect-$number.$region.run.app"
fi

step 'set who may call'
only() { # only SERVICE MEMBERS: these may call the service, and nobody else
  local have member
  have=$(members roles/run.invoker run services get-iam-policy "$1" "${in_region[@]}")
  while IFS= read -r member; do
    grep -qxF "$member" <<<"$have" || run_again gcloud run services add-iam-policy-binding "$1" "${in_region[@]}" \
      --member="$member" --role=roles/run.invoker
  done <<<"$2"
  while IFS= read -r member; do
    [ -z "$member" ] || grep -qxF "$member" <<<"$2" || run gcloud run services remove-iam-policy-binding "$1" \
      "${in_region[@]}" --member="$member" --role=roles/run.invoker
  done <<<"$have"
}
only "$name-worker" "serviceAccount:$invoker"
only "$name" "$(awk 'length && !seen[$0]++' <<<"$callers$line$operators" |
  sed -E -e 's/^@/domain:/' -e t -e 's/(.*\.gserviceaccount\.com)$/serviceAccount:\1/' -e t -e 's/^/user:/')"

inherited=$(ask gcloud projects get-iam-policy "$project" --flatten='bindings[].members' \
  --format='value(bindings.role,bindings.members)' | awk -F '\t' '$1 ~ /^roles\/run\.(invoker|admin)$/ { print "     " $2 " (" $1 ")" }')
[ -z "$inherited" ] || say "   Warning: these may call the worker and the service as well, since the project gives them a role on everything:
$inherited
   The worker lets in $invoker alone, and takes only tasks that the service has signed.
   Roles of the organisation and of folders were not looked at."

step 'have runs looked after'
watch() { # the job that has dead runs found and told, every ten minutes
  local job=$name-watch there verb=create headers=--headers
  there=$(ask gcloud scheduler jobs describe "$job" "${in_location[@]}" --format='value(schedule,timeZone,httpTarget.uri)')
  [ "$there" != "*/10 * * * *"$'\t'UTC$'\t'"$worker_url/" ] || return 0
  [ -z "$there" ] || verb=update headers=--update-headers
  run gcloud scheduler jobs $verb http "$job" "${in_location[@]}" --schedule='*/10 * * * *' --time-zone=UTC \
    --uri="$worker_url/" --http-method=POST $headers=Content-Type=application/json \
    --message-body='{"action":"sweep"}' --oidc-service-account-email="$invoker" --oidc-token-audience="$worker_url" \
    --attempt-deadline=300s --max-retry-attempts=0
}
watch

step 'watch over it: a metric, alerts, a dashboard'
filled() { # filled FILE: a file of monitoring/ with the names of this deployment, beside its fingerprint
  sed -e "s/NAME/$name/g" -e "s/QUEUE/$queue/g" -e "s#BUCKET#$bucket#g" -e "s/DATASET/$audit/g" "cloud_function/monitoring/$1"
}
made_file() { # the same as a file that stays until the end, for gcloud
  local file=$monitoring/$1
  filled "$1" >"$file"
  printf %s "$file"
}
channels() { # the notification channels of --alerts-to, made where they are not there, separated by commas
  local address listed found='' one
  [ -n "$alerts_to" ] || return 0
  listed=$(ask gcloud beta monitoring channels list "${in_project[@]}" --filter="userLabels.owox-tiktok=$name" \
    --format='value(labels.email_address,name)')
  while IFS= read -r address; do
    [ -n "$address" ] || continue
    one=$(just "$address" 1 2 <<<"$listed" | head -n 1)
    [ -n "$one" ] || one=$(gcloud beta monitoring channels create "${in_project[@]}" --display-name="$name: $address" --type=email \
      --channel-labels="email_address=$address" --user-labels="owox-tiktok=$name" --format='value(name)') || exit 1
    found+=${found:+,}$one
  done <<<"$alerts_to"
  printf %s "$found"
}
watch_over() {
  local file there listed digest title found
  monitoring=$(mktemp -d)
  # A metric that is there is brought up to date without asking: it keeps no more than its filter.
  there=$(ask gcloud logging metrics describe "$name-runs" "${in_project[@]}" --format='value(filter)')
  if [ "$there" != "$(filled runs.metric.yaml | sed -n 's/^filter: //p')" ]; then
    run gcloud logging metrics "$([ -z "$there" ] && printf create || printf update)" "$name-runs" "${in_project[@]}" \
      --config-from-file="$(made_file runs.metric.yaml)"
  fi
  found=''
  [ -n "$dry_run" ] || found=$(channels) || exit 1
  listed=$(ask gcloud alpha monitoring policies list "${in_project[@]}" --filter="userLabels.owox-tiktok=$name" \
    --format='value(displayName,name,userLabels.owox-digest)')
  for file in needs_somebody.policy.json nothing_starts.policy.json; do
    digest=$(filled "$file" | cat - <(printf %s "$found") | cksum | tr ' ' -)
    title=$(filled "$file" | sed -n 's/^  "displayName": "\(.*\)",$/\1/p')
    there=$(awk -F '\t' -v title="$title" '$1 == title { print $2, $3 }' <<<"$listed" | head -n 1)
    [ "${there#* }" != "$digest" ] || continue
    local labels="owox-tiktok=$name,owox-digest=$digest"
    if [ -z "$there" ]; then
      run gcloud alpha monitoring policies create "${in_project[@]}" --policy-from-file="$(made_file "$file")" \
        --user-labels="$labels" ${found:+--notification-channels="$found"}
    else
      run gcloud alpha monitoring policies update "${there%% *}" "${in_project[@]}" --policy-from-file="$(made_file "$file")" \
        --update-user-labels="$labels" "$([ -z "$found" ] && printf %s --clear-notification-channels || printf %s "--set-notification-channels=$found")"
    fi
  done
  listed=$(ask gcloud monitoring dashboards list "${in_project[@]}" --format='value(displayName,name)')
  [ -n "$(just "$name: imports" 1 2 <<<"$listed")" ] ||
    run gcloud monitoring dashboards create "${in_project[@]}" --config-from-file="$(made_file imports.dashboard.json)"
  [ -n "$dry_run" ] || rm -rf "$monitoring"
}
watch_over
if [ -n "$audit" ]; then
  step 'show the audit log in BigQuery'
  run bq query --project_id="$project" --use_legacy_sql=false "$(filled audit.sql | sed 's/^--.*//')"
fi

step 'set the schedule'
one_job_less() { # with a registry the service starts what is due itself; a Sheet's own job would import it once more
  local listed sheet
  listed=$(ask gcloud scheduler jobs list "${in_location[@]}" \
    --format='value(name.basename(),httpTarget.oidcToken.serviceAccountEmail)' | just "$invoker" 2 1) || exit 1
  for sheet in $spreadsheets; do
    ! grep -qxF "$name-$sheet" <<<"$listed" ||
      run gcloud scheduler jobs delete "$name-$sheet" "${in_location[@]}" --quiet
  done
}
[ -z "$registry" ] || [ -z "$schedule" ] || one_job_less
# For a single Sheet the same job as `owox-tiktok schedule` makes.
for sheet in ${spreadsheet:+"$spreadsheet"}; do
  [ -n "$schedule" ] || break
  job=$name-$sheet
  there=$(ask gcloud scheduler jobs describe "$job" "${in_location[@]}" --format='value(schedule,timeZone,httpTarget.uri)')
  cron='7 * * * *'
  [ "$schedule" != daily ] || cron="$((10#${at#*:})) $((10#${at%:*})) * * *"
  if [ "$schedule" = off ]; then
    [ -z "$there" ] || run gcloud scheduler jobs delete "$job" "${in_location[@]}" --quiet
  elif [ "$there" != "$cron"$'\t'"$zone"$'\t'"$worker_url/" ]; then
    verb=create headers=--headers
    [ -z "$there" ] || verb=update headers=--update-headers
    run gcloud scheduler jobs $verb http "$job" "${in_location[@]}" --schedule="$cron" --time-zone="$zone" \
      --uri="$worker_url/" --http-method=POST $headers=Content-Type=application/json \
      --message-body="{\"action\":\"import\",\"spreadsheet_id\":\"$sheet\"}" \
      --oidc-service-account-email="$invoker" --oidc-token-audience="$worker_url" \
      --attempt-deadline="${worker_s}s" --max-retry-attempts=3 --min-backoff=30s --max-backoff=600s
  fi
done

not_lent() { # writers that are not named any more: the service may not act for them from now on
  local one listed have
  listed=$(made_writers) || exit 1
  for one in $(ours "$listed" "$gone_writers" | sort -u | grep -vxF "${writers:-none}"); do
    have=$(members "$writer_role" iam service-accounts get-iam-policy "$one" "${in_project[@]}") || exit 1
    ! grep -qxF "serviceAccount:$runtime" <<<"$have" || run gcloud iam service-accounts remove-iam-policy-binding "$one" \
      "${in_project[@]}" --member="serviceAccount:$runtime" --role="$writer_role"
  done
}
if [ -z "$dry_run" ]; then
  step 'take the role from writers that are not named any more'
  not_lent # after the deployment, so that the one before could write until now
fi

take_away() { # what a registry does not name any more: jobs and secrets; roles were revoked above
  local found='' one listed answer
  listed=$(ask gcloud scheduler jobs list "${in_location[@]}" \
    --format='value(name.basename(),httpTarget.oidcToken.serviceAccountEmail)' | just "$invoker" 2 1) || exit 1
  for one in $listed; do
    like "$one" "$name-[A-Za-z0-9_-]{20,100}" || continue # the job that looks after runs
    grep -qxF "${one#"$name-"}" <<<"$spreadsheets" || found+="scheduler jobs delete $one ${in_location[*]}$line"
  done
  listed=$(ask gcloud secrets list "${in_project[@]}" --format='value(name.basename(),labels.owox-tiktok)' |
    just "$name" 2 1) || exit 1
  for one in $listed; do
    [[ $one == "$name-token-"* ]] || continue
    grep -qxF "${one#"$name-token-"}" <<<"$aliases" || found+="secrets delete $one ${in_project[*]}$line"
  done
  [ -n "$found" ] || return 0
  say 'The registry does not name these any more:'
  printf '%s' "$found" | sed 's/^/   gcloud /' >&2
  if [ -z "$yes" ]; then
    printf 'Delete them for good? Type yes: ' >&2
    IFS= read -r answer || answer=''
    if [ "$answer" != yes ]; then
      say 'They stay. Run this again to delete them.'
      return
    fi
  fi
  while IFS= read -r one; do
    step "gcloud $one"
    # shellcheck disable=SC2086
    run gcloud $one --quiet </dev/null
  done <<<"${found%"$line"}"
}
if [ -n "$registry" ] && [ -z "$dry_run" ]; then
  step 'take away what is not named any more'
  take_away
fi

say "Deployed to $sheets_url"
[ -z "$connect" ] || say "In your TikTok app, name this redirect address: https://$name-connect-$number.$region.run.app/connected"
say "Left for you to do:
  1. Share each Sheet with $runtime as an editor${writers:+, or with its writer, where the registry names one}.
  2. In the Sheet: OWOX > Set up…, give it the address above. It shows the client id of its script; run this once more
     with --client-id and what it shows."
while IFS= read -r dataset; do
  [ -z "$dataset" ] || say "  3. Let it fill $dataset:
     bq query --use_legacy_sql=false 'GRANT \`roles/bigquery.dataEditor\` ON SCHEMA \`$dataset\` TO \"serviceAccount:$runtime\"'"
done <<<"$datasets"
while IFS= read -r dataset; do
  [ -z "$dataset" ] || say "  4. It need not fill $dataset any more:
     bq query --use_legacy_sql=false 'REVOKE \`roles/bigquery.dataEditor\` ON SCHEMA \`$dataset\` FROM \"serviceAccount:$runtime\"'"
done <<<"$gone"
by_hand() { # by_hand VERB LIST: what to do for writers of other projects, whose roles are not ours to give
  local one
  for one in $2; do
    [ -n "$(ours "$one")" ] || say "  5. $one is of another project. There, too:
     gcloud iam service-accounts $1-iam-policy-binding $one --role=$writer_role --member=serviceAccount:$runtime"
  done
}
by_hand add "$writers"
by_hand remove "$gone_writers"
