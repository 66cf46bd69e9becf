// A consumer with MQTT.js: prints each message as a JSON line, and publishes each line it reads, "TOPIC PAYLOAD".
//
//   node consumer.js URL PROTOCOL-LEVEL USER
const readline = require("readline");
const mqtt = require(require("path").join(__dirname, "../peers/node_modules/mqtt"));

const [url, level, user] = process.argv.slice(2);
const client = mqtt.connect(url, {
  protocolVersion: Number(level), clientId: "consumer", clean: false, reconnectPeriod: 500, connectTimeout: 5000,
  username: user || undefined, password: user ? "x" : undefined,
  properties: level === "5" ? { sessionExpiryInterval: 3600, receiveMaximum: 100 } : undefined,
});
const told = (what) => process.stdout.write(JSON.stringify(what) + "\n");
client.on("connect", () =>
  client.subscribe("park/v1/#", { qos: 1 }, (error) => told({ subscribed: error ? String(error) : "" })));
client.on("message", (topic, payload) => told({ topic, payload: payload.toString() }));
client.on("error", (error) => console.error(String(error)));
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const [topic, ...rest] = line.split(" ");
  client.publish(topic, rest.join(" "), { qos: 1 });
});
