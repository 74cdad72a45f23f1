/**
 * True in a full run (`npm run test:full`): slow suites then widen their matrices and sizes. The one place that reads the switch, so that what a
 * run covered can be told from its environment alone.
 */
export const isFullRun: boolean = process.env.TIDEMARK_TEST_FULL === "1";
