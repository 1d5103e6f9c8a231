-- The audit log as a table: a line of JSON per run that has ended, read where it is.
CREATE OR REPLACE EXTERNAL TABLE `DATASET.tiktok_runs` (
  spreadsheet_id STRING,
  run STRING,
  asked STRUCT<`by` STRING, at TIMESTAMP, script STRING>,
  joined ARRAY<STRUCT<`by` STRING, at TIMESTAMP, script STRING>>,
  asks STRING OPTIONS (description = 'What was asked for, as JSON'),
  started TIMESTAMP,
  ended TIMESTAMP,
  state STRING,
  message STRING,
  part INT64 OPTIONS (description = 'Parts before the last one'),
  failures INT64,
  deaths INT64,
  `rows` INT64,
  requests INT64,
  accounts ARRAY<STRUCT<advertiser_id STRING, `rows` INT64, requests INT64>>
)
OPTIONS (
  format = 'NEWLINE_DELIMITED_JSON',
  uris = ['BUCKET/audit/*'],
  ignore_unknown_values = TRUE,
  description = 'Who asked for which import, and what came of it'
)
