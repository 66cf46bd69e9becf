// A Modbus RTU slave made of modbus-serial, the peer of our master's tests.
//
//   node modbus_serial_slave.js PORT UNIT      9600 8N1, at most 60 s, says "up" when it listens
//
// The same tables as libmodbus_slave.c. It is silent for other units.
"use strict";
const { ServerSerial } = require("modbus-serial");

const [port, unit] = process.argv.slice(2);
const REGISTERS = 100;
const BITS = 40;

function within(most, value) {
  return (address) => {
    if (address >= most) throw Object.assign(new Error("no such address"), { modbusErrorCode: 2 });
    return value(address);
  };
}

const tables = {
  getInputRegister: within(REGISTERS, (address) => 1000 + address),
  getHoldingRegister: within(REGISTERS, (address) => 2000 + address),
  getCoil: within(BITS, (address) => address % 3 === 0),
  getDiscreteInput: within(BITS, (address) => address % 2 === 0),
};

const slave = new ServerSerial(tables, { path: port, baudRate: 9600, unitID: Number(unit) });
slave.on("initialized", () => console.log("up"));
slave.on("error", (error) => {
  console.error(error.message);
  process.exit(1);
});
setTimeout(() => process.exit(0), 60_000);
