// Classifies images with a model that `cvbow export photos.cvbow -o photos.onnx` has written:
//
//   npm install --ignore-scripts
//   node classify.mjs photos.onnx image.jpg another.png
//
// For each image it prints the path, and the three most probable classes. No Python is needed, and no OpenCV.
import { readFile } from "node:fs/promises";
import { InferenceSession, Tensor } from "onnxruntime-node";
import sharp from "sharp";

/** The fields of a message of Protocol Buffers that have a length, as [number, bytes]. */
function* fields(bytes) {
  let at = 0;
  const number = () => {
    for (let value = 0, weight = 1; ; weight *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * weight;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = number(), value = number();
    if (tag % 8 === 2) yield [tag >> 3, bytes.subarray(at, (at += value))];
  }
}

/** The names of the classes: JSON in the metadata (field 14), key "classes"; the runtime does not tell them. */
function classesOf(model) {
  for (const [field, entry] of fields(model)) {
    const [key, value] = field === 14 ? [...fields(entry)].map(([, text]) => text.toString()) : [];
    if (key === "classes") return JSON.parse(value);
  }
  throw new Error("the model does not tell its classes: it is none of cvbow's");
}

/** An image as the model takes it: upright, without its profile, on white, RGB, uint8 (1, height, width, 3). */
async function read(path) {
  const image = sharp(path, { ignoreIcc: true }).rotate().flatten({ background: "white" }).removeAlpha();
  const { data, info } = await image.toColourspace("srgb").raw().toBuffer({ resolveWithObject: true });
  return new Tensor("uint8", data, [1, info.height, info.width, 3]);
}

const [modelPath, ...paths] = process.argv.slice(2);
if (!paths.length) {
  console.error("usage: node classify.mjs MODEL.onnx IMAGE...");
  process.exit(2);
}
const model = await readFile(modelPath);
const classes = classesOf(model);
const session = await InferenceSession.create(model);
for (const path of paths) {
  try {
    const { probabilities } = await session.run({ image: await read(path) }, ["probabilities"]);
    const best = [...classes.keys()].sort((a, b) => probabilities.data[b] - probabilities.data[a]).slice(0, 3);
    console.log([path, ...best.map((at) => `${classes[at]} ${probabilities.data[at].toFixed(3)}`)].join("\t"));
  } catch (error) {
    console.error(`${path}: ${error.message}`);
    process.exitCode = 1;
  }
}
