// Loaded before Allure: the same run gives the same page, so time and ids must not differ.
// (Allure also keeps what it reads in the order in which reads end: UV_THREADPOOL_SIZE=1.)
import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";

const now = Number(process.env.STEADY_NOW);
let made = 0;
let state = 1;

Date.now = () => now;
crypto.randomUUID = () => `00000000-0000-4000-8000-${String(++made).padStart(12, "0")}`;
crypto.webcrypto.getRandomValues = (array) => {
  for (let index = 0; index < array.length; index++) {
    state = (state * 48271) % 2147483647;
    array[index] = state;
  }
  return array;
};
syncBuiltinESMExports();
