// kafkajs: create, produce and consume as harness/wire.py asks.
'use strict'

const readline = require('readline')
const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = require('kafkajs')
const lz4 = require('lz4-napi')
const zstd = require('@bokuweb/zstd-wasm')

// kafkajs brings gzip along and takes the other codecs as plug-ins.
CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: encoder => lz4.compressFrame(encoder.buffer),
  decompress: buffer => lz4.decompressFrame(buffer),
})
const zstdReady = zstd.init()
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async encoder => (await zstdReady, Buffer.from(zstd.compress(encoder.buffer, 3))),
  decompress: async buffer => (await zstdReady, Buffer.from(zstd.decompress(buffer))),
})
const codecs = { none: 'None', gzip: 'GZIP', snappy: 'Snappy', lz4: 'LZ4', zstd: 'ZSTD' }

const kafka = new Kafka({ clientId: 'kafkajs', brokers: [process.env.BOOTSTRAP], logLevel: logLevel.ERROR })
const decode = text => (text === null ? null : Buffer.from(text, 'base64'))
const encode = bytes => (bytes === null ? null : Buffer.from(bytes).toString('base64'))

async function create(topic, partitions) {
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions: Number(partitions) }] })
  await admin.disconnect()
}

function message(line) {
  const [key, value, pairs] = JSON.parse(line)
  const headers = {}
  for (const [name, text] of pairs) {
    headers[name] = name in headers ? [].concat(headers[name], decode(text)) : decode(text)
  }
  return { key: decode(key), value: decode(value), headers }
}

// One request in flight: what has gathered meanwhile makes the next one.
async function produce(topic, codec) {
  const producer = kafka.producer({ idempotent: true })
  await producer.connect()
  const compression = CompressionTypes[codecs[codec]]
  let pending = []
  let sending = Promise.resolve()
  const flush = async () => {
    const messages = pending
    pending = []
    if (messages.length > 0) await producer.send({ topic, compression, messages })
  }
  for await (const line of readline.createInterface({ input: process.stdin })) {
    pending.push(message(line))
    if (pending.length === 1) sending = sending.then(flush)
  }
  await sending
  await producer.disconnect()
}

function pairs(headers) {
  return Object.entries(headers).flatMap(([name, value]) => [].concat(value).map(v => [name, encode(v)]))
}

async function consume(topic, group) {
  // It notices a rebalance only between two fetches, so these must not wait long.
  const consumer = kafka.consumer({
    groupId: group,
    heartbeatInterval: 300,
    sessionTimeout: 10000,
    maxWaitTimeInMs: 200,
  })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  process.on('SIGTERM', async () => {
    await consumer.disconnect() // commits what was handed out
    process.exit(0)
  })
  await consumer.run({
    eachMessage: async ({ partition, message: m }) => {
      const read = [partition, Number(m.offset), encode(m.key), encode(m.value), pairs(m.headers)]
      process.stdout.write(JSON.stringify(read) + '\n')
    },
  })
}

const [verb, ...args] = process.argv.slice(2)
const verbs = { create, produce, consume }
verbs[verb](...args).catch(error => {
  console.error(error)
  process.exit(1)
})
