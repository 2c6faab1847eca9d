// Runs a Node snippet: `ask.mjs SNIPPET` reads rounds on stdin, writes verdicts as JSON.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { identity } = await import(pathToFileURL(process.argv[2]));
const real = Date.now;
const verdicts = [];
for (const [lapse, values] of JSON.parse(readFileSync(0))) {
  // jose judges tokens by `new Date()`, which stays: only the keys grow old.
  if (lapse) Date.now = () => real() + lapse * 1000;
  const headersDistinct = values.length ? { "x-forwarded-identity": values } : {};
  verdicts.push(await identity({ headersDistinct }).then((claims) => claims.sub, () => null));
}
console.log(JSON.stringify(verdicts));
