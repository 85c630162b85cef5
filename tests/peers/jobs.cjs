// Does the jobs on standard input, see README.md beside this file.
"use strict";
const fs = require("node:fs");
const readline = require("node:readline");

/** A verb and its fields. */
class Job {
  constructor(line) {
    const [verb, ...fields] = line.split("\t");
    this.verb = verb;
    this.fields = fields.map((field) => [field.slice(0, field.indexOf("=")), field.slice(field.indexOf("=") + 1)]);
  }

  has(name) {
    return this.fields.some(([key]) => key === name);
  }

  all(name) {
    return this.fields.filter(([key]) => key === name).map(([, value]) => value);
  }

  get(name) {
    if (!this.has(name)) throw new Error(`no field ${name}`);
    return this.all(name)[0];
  }

  bytes(name) {
    return fs.readFileSync(this.get(name));
  }

  /** Values of three parts: the two files, read, and how. */
  triples(name) {
    return this.all(name).map((value) => {
      const [certificate, key, how] = value.split("|");
      return { certificate: fs.readFileSync(certificate, "latin1"), key: fs.readFileSync(key, "latin1"), how };
    });
  }
}

/** Does every job with the function of its verb, which gives the result as bytes. */
module.exports = async function run(verbs) {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const job = new Job(line);
    try {
      if (!verbs[job.verb]) throw new Error(`no verb ${job.verb}`);
      fs.writeFileSync(job.get("out"), Buffer.from(await verbs[job.verb](job)));
      console.log("ok");
    } catch (error) {
      console.log(`failed: ${error && error.message ? error.message : error}`.replace(/\s+/g, " "));
    }
  }
};
