/** What Apps Script puts into a page beside the DOM. */
declare const google: {
  script: {
    run: any;
    host: { close(): void };
  };
};
