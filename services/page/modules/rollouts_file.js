/** A file of rollouts that the trainer wrote, read in the browser: all of it is checked before any of it is shown. */

import { bytes, count } from "./quantities.js";

const FORMAT = "headstart-rollouts";
const VERSION = 1;
/** Of a file [bytes]. */
const LARGEST = 32 << 20;

/**
 * A motion of T samples: `length` T, `joint_position` [T][joints] [rad or m], `ee_position` [T][3] [m], `ee_rotation_6d`
 * [T][6], `gripper` [T], null where the file has none; and `objects`, by name, `position` [T][3] and `rotation_6d` [T][6].
 * @typedef {{length: number, joint_position: number[][] | null, ee_position: number[][] | null,
 *   ee_rotation_6d: number[][] | null, gripper: number[], objects: Record<string, any>}} Motion
 */

/**
 * What a file holds. Throws an Error that names it and says what is wrong with it.
 * @param {File} file
 */
export async function readRollouts(file) {
  if (file.size > LARGEST) throw new Error(`${file.name} has ${bytes(file.size)}; a file of rollouts has 32 MiB at most.`);
  const content = parsed(await file.text(), file.name);
  try {
    return checked(content);
  } catch (error) {
    throw new Error(`${file.name} is broken: ${error.message}.`);
  }
}

function parsed(text, name) {
  let content;
  try {
    content = JSON.parse(text);
  } catch {
    throw new Error(`${name} is no file of rollouts: it is no JSON. Open the one that “evaluate --player” wrote.`);
  }
  if (content?.format !== FORMAT) throw new Error(`${name} is no file of rollouts: it does not say that its format is ${FORMAT}.`);
  if (content.version !== VERSION) throw new Error(`${name} has version ${JSON.stringify(content.version)} of its format; this page reads version ${VERSION}. Open it with the release that wrote it.`);
  return content;
}

function checked({ task, robot, rate_hz: rate, policy, left_out: leftOut, rollouts }) {
  need(typeof task === "string", "task", "text");
  need(typeof robot === "string", "robot", "text");
  need(Number.isFinite(rate) && rate > 0, "rate_hz", "a number above 0");
  need(policy && typeof policy === "object", "policy", "an object");
  need(Array.isArray(leftOut) && leftOut.every(isCount), "left_out", "a list of seeds");
  need(Array.isArray(rollouts), "rollouts", "a list");
  const read = rollouts.map((one, index) => rollout(one, `rollouts[${index}]`));
  const motions = read.flatMap(({ executed, predicted, demonstrated }) => [executed, ...predicted, demonstrated]);
  const joints = new Set(motions.flatMap((one) => (one?.joint_position?.length ? [one.joint_position[0].length] : [])));
  need(joints.size < 2, "joint_position", "of the same number of joints everywhere");
  return { task, robot, rate, policy, leftOut, rollouts: read };
}

function rollout(value, at) {
  need(value && typeof value === "object", at, "an object");
  const { seed, success, steps, fault, commanded, reached, predicted, demonstrated } = value;
  need(isCount(seed), `${at}.seed`, "a whole number from 0 on");
  need(typeof success === "boolean", `${at}.success`, "true or false");
  need(isCount(steps), `${at}.steps`, "a whole number from 0 on");
  need(fault === null || typeof fault === "string", `${at}.fault`, "text or null");
  need(Array.isArray(predicted), `${at}.predicted`, "a list");
  const told = motion(commanded, `${at}.commanded`, steps);
  return {
    seed, success, steps, fault,
    known: reached !== null,
    executed: reached === null ? told : motion(reached, `${at}.reached`, steps + 1),
    predicted: predicted.map((one, index) => answer(one, `${at}.predicted[${index}]`)),
    demonstrated: demonstrated === null ? null : demonstration(demonstrated, `${at}.demonstrated`),
  };
}

function answer(value, at) {
  const read = motion(value, at);
  need(isCount(value.step), `${at}.step`, "a whole number from 0 on");
  return { step: value.step, ...read };
}

function demonstration(value, at) {
  const read = motion(value, at);
  need(typeof value.success === "boolean", `${at}.success`, "true or false");
  return { success: value.success, ...read };
}

/** @returns {Motion} */
function motion(value, at, length = value?.gripper?.length) {
  need(value && typeof value === "object", at, "an object");
  need(Array.isArray(value.gripper) && value.gripper.length === length && value.gripper.every(Number.isFinite), `${at}.gripper`, `${count(length ?? 0)} numbers`);
  const rows = (name, width) => (value[name] === undefined ? null : table(value[name], `${at}.${name}`, length, width));
  const objects = Object.entries(value.objects ?? {}).map(([name, pose]) => [name, {
    position: table(pose?.position, `${at}.objects.${name}.position`, length, 3),
    rotation_6d: table(pose?.rotation_6d, `${at}.objects.${name}.rotation_6d`, length, 6),
  }]);
  const read = { joint_position: rows("joint_position"), ee_position: rows("ee_position", 3), ee_rotation_6d: rows("ee_rotation_6d", 6) };
  need(read.joint_position || read.ee_position, at, "a motion of joints or of the tool");
  return { length, ...read, gripper: value.gripper, objects: Object.fromEntries(objects) };
}

/** Rows of finite numbers, all of one width. */
function table(value, at, length, width) {
  need(Array.isArray(value) && value.length === length, at, `a list of ${count(length)} samples`);
  const wide = width ?? value[0]?.length ?? 0;
  value.forEach((row, index) => need(Array.isArray(row) && row.length === wide && row.every(Number.isFinite), `${at}[${index}]`, `${wide} numbers`));
  return value;
}

const isCount = (value) => Number.isInteger(value) && value >= 0;

function need(fine, at, what) {
  if (!fine) throw new Error(`${at} is not ${what}`);
}
