// Judges the contract with what its readers use: @asyncapi/parser for the document, ajv for the messages.
//
//   node contract_judge.js asyncapi FILE        prints the document's faults, one JSON object a line
//   node contract_judge.js messages FOLDER      reads messages, one JSON object a line, and prints for each
//                                               the faults that the schema it names finds, as a JSON list
const fs = require("fs");
const path = require("path");
const readline = require("readline");

async function asyncapi(file) {
  const { Parser } = require("@asyncapi/parser");
  const { document, diagnostics } = await new Parser().parse(fs.readFileSync(file, "utf8"));
  const faults = diagnostics.filter((one) => one.severity <= 1);
  faults.forEach((one) => console.log(JSON.stringify(one)));
  if (!document) process.exitCode = 1;
}

async function messages(folder) {
  const Ajv = require("ajv/dist/2020");
  const ajv = new Ajv({ strict: true, strictTypes: false, allErrors: true });
  const schemas = fs.readdirSync(folder).map((name) => JSON.parse(fs.readFileSync(path.join(folder, name), "utf8")));
  schemas.forEach((schema) => ajv.addSchema(schema));
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const message = JSON.parse(line);
    const judge = ajv.getSchema("urn:" + message.schema.replace(/[./]/g, ":"));
    if (!judge) {
      console.log(JSON.stringify([`no schema ${message.schema}`]));
      continue;
    }
    judge(message);
    console.log(JSON.stringify((judge.errors || []).map((one) => `${one.instancePath} ${one.message}`)));
  }
}

const [what, where] = process.argv.slice(2);
({ asyncapi, messages })[what](where);
