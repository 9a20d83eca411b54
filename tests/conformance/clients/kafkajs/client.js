// kafkajs behind the verbs of tests/conformance/clients: one JSON request per line in, one answer per line out.
'use strict'

const readline = require('node:readline')
const { Kafka, CompressionTypes, CompressionCodecs, ConfigResourceTypes, logLevel } = require('kafkajs')
CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')

const COMPRESSIONS = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy }

const kafka = new Kafka({
  clientId: 'conformance-kafkajs',
  brokers: process.argv[2].split(','),
  logLevel: logLevel.NOTHING,
  retry: { initialRetryTime: 100, maxRetryTime: 1000 },
})
const admin = kafka.admin()
const members = new Map()

const text = bytes => (bytes === null || bytes === undefined ? null : bytes.toString())

// The answer to produce names a base offset per partition; the records of a partition follow it in order.
async function produce({ topic, records, compression }) {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, allowAutoTopicCreation: true })
  await producer.connect()
  try {
    const placed = []
    // kafkajs chooses the partition inside send(), so each record that has none is sent alone to learn where it went.
    const whole = records.every(record => record.partition !== null)
    const batches = whole ? [records] : records.map(record => [record])
    for (const batch of batches) {
      const messages = batch.map(record => ({
        key: record.key,
        value: record.value,
        headers: Object.fromEntries(record.headers),
        ...(record.partition === null ? {} : { partition: record.partition }),
        ...(record.timestamp_ms === null ? {} : { timestamp: String(record.timestamp_ms) }),
      }))
      const answers = await producer.send({ topic, acks: -1, compression: COMPRESSIONS[compression], messages })
      const next = new Map(answers.map(answer => [answer.partition, Number(answer.baseOffset)]))
      for (const record of batch) {
        const partition = whole ? record.partition : answers[0].partition
        placed.push([partition, next.get(partition)])
        next.set(partition, next.get(partition) + 1)
      }
    }
    return placed
  } finally {
    await producer.disconnect()
  }
}

// kafkajs has no consumer without a group: a group of its own, seeked to where the test wants to begin.
async function consume({ topic, partitions, start, count, timeout_ms }) {
  const groupId = `kafkajs-reader-${process.pid}-${Date.now()}`
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 200 })
  const found = []
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: start !== 'latest' })
  const finished = new Promise(resolve => {
    setTimeout(resolve, timeout_ms)
    consumer.run({
      autoCommit: false,
      eachMessage: async ({ partition, message }) => {
        if (!partitions.includes(partition) || found.length >= count) return
        const headers = Object.entries(message.headers || {}).map(([name, value]) => [name, text(value)])
        found.push({
          value: text(message.value), key: text(message.key), headers, partition,
          timestamp_ms: Number(message.timestamp), offset: Number(message.offset),
        })
        if (found.length >= count) resolve()
      },
    })
  })
  if (typeof start === 'number') {
    for (const { partition, offset } of await admin.fetchTopicOffsetsByTimestamp(topic, start)) {
      consumer.seek({ topic, partition, offset })
    }
  }
  await finished
  await consumer.disconnect()
  await admin.deleteGroups([groupId])
  return found
}

async function offsetOf({ topic, partition, at }) {
  if (typeof at === 'number') {
    const end = await offsetOf({ topic, partition, at: 'latest' })
    const rows = await admin.fetchTopicOffsetsByTimestamp(topic, at)
    const offset = Number(rows.find(row => row.partition === partition).offset)
    // kafkajs answers the end of the partition where the broker found no such record.
    return offset < 0 || offset === end ? null : offset
  }
  const row = (await admin.fetchTopicOffsets(topic)).find(entry => entry.partition === partition)
  return Number(at === 'earliest' ? row.low : row.high)
}

async function join({ member, group, topic }) {
  const consumer = kafka.consumer({
    groupId: group, sessionTimeout: 10000, heartbeatInterval: 500, rebalanceTimeout: 10000, maxWaitTimeInMs: 200,
  })
  const state = { consumer, partitions: [], rebalances: 0, records: 0, next: new Map() }
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    state.rebalances += 1
    state.partitions = payload.memberAssignment[topic] || []
  })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => {
      state.records += 1
      state.next.set(partition, String(Number(message.offset) + 1))
    },
  })
  members.set(member, { topic, live: state })
}

async function commit({ member }) {
  const { live, topic } = members.get(member)
  const offsets = live.partitions
    .filter(partition => live.next.has(partition))
    .map(partition => ({ topic, partition, offset: live.next.get(partition) }))
  await live.consumer.commitOffsets(offsets)
}

async function committed({ group, topic, partitions }) {
  const [answer] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
  const rows = answer.partitions.filter(row => partitions.includes(row.partition) && Number(row.offset) >= 0)
  return Object.fromEntries(rows.map(row => [row.partition, Number(row.offset)]))
}

const open = new Map()

const transactional = transactionalId =>
  kafka.producer({ transactionalId, idempotent: true, maxInFlightRequests: 1, transactionTimeout: 60000 })

async function openTransaction({ member, transactional_id, topic, values }) {
  const producer = transactional(transactional_id)
  await producer.connect()
  const transaction = await producer.transaction()
  open.set(member, { producer, transaction })
  await transaction.send({ topic, acks: -1, messages: values.map(value => ({ value, partition: 0 })) })
}

async function endTransaction({ member, commit: wanted }) {
  const { producer, transaction } = open.get(member)
  open.delete(member)
  try {
    await (wanted ? transaction.commit() : transaction.abort())
  } finally {
    await producer.disconnect()
  }
}

async function transform({ group, transactional_id, topic, target, count, commit: wanted }) {
  const producer = transactional(transactional_id)
  const consumer = kafka.consumer({ groupId: group, readUncommitted: false, maxWaitTimeInMs: 200 })
  await producer.connect()
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const transaction = await producer.transaction()
  const next = new Map()
  let done = 0
  await new Promise((resolve, reject) => {
    const eachMessage = async ({ partition, message }) => {
      if (done >= count) return
      try {
        await transaction.send({ topic: target, acks: -1, messages: [{ value: text(message.value).toUpperCase() }] })
      } catch (error) {
        reject(error)
        return
      }
      next.set(partition, String(Number(message.offset) + 1))
      done += 1
      if (done >= count) resolve()
    }
    consumer.run({ autoCommit: false, eachMessage }).catch(reject)
  })
  const partitions = [...next].map(([partition, offset]) => ({ partition, offset }))
  await transaction.sendOffsets({ consumerGroupId: group, topics: [{ topic, partitions }] })
  await (wanted ? transaction.commit() : transaction.abort())
  await consumer.disconnect()
  await producer.disconnect()
}

const verbs = {
  open_transaction: openTransaction,
  end_transaction: endTransaction,
  transform,
  produce,
  consume,
  offset_of: offsetOf,
  join,
  commit,
  committed,
  state: async ({ member }) => {
    const { partitions, rebalances, records } = members.get(member).live
    return { partitions, rebalances, records }
  },
  leave: async ({ member }) => {
    if (!members.has(member)) return
    await members.get(member).live.consumer.disconnect()
    members.delete(member)
  },
  create_topic: async ({ topic, partitions, configs }) => {
    const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }))
    const created = await admin.createTopics({
      waitForLeaders: true,
      topics: [{ topic, numPartitions: partitions, replicationFactor: 1, configEntries }],
    })
    // kafkajs reports an existing topic as `false`.
    if (!created) throw Object.assign(new Error('exists'), { type: 'TOPIC_ALREADY_EXISTS' })
  },
  partition_count: async ({ topic }) => {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    return topics[0].partitions.length
  },
  topic_config: async ({ topic }) => {
    const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic }]
    const answer = await admin.describeConfigs({ resources, includeSynonyms: false })
    return Object.fromEntries(answer.resources[0].configEntries.map(entry => [entry.configName, entry.configValue]))
  },
  set_topic_config: async ({ topic, key, value }) => {
    const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries: [{ name: key, value }] }]
    await admin.alterConfigs({ validateOnly: false, resources })
  },
  grow_topic: async ({ topic, partitions }) => {
    await admin.createPartitions({ topicPartitions: [{ topic, count: partitions }] })
  },
  delete_topic: async ({ topic }) => admin.deleteTopics({ topics: [topic] }),
  groups: async () => (await admin.listGroups()).groups.map(group => group.groupId),
  delete_group: async ({ group }) => {
    await admin.deleteGroups([group])
  },
}

// kafkajs wraps what the broker said: in `cause` when it retried, in `errors` for topics, in `groups` for groups.
function codeOf(error) {
  const inner = error.cause || (error.errors && error.errors[0]) || (error.groups && error.groups[0].error) || error
  return inner.type || error.type || error.name
}

async function main() {
  await admin.connect()
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const request = JSON.parse(line)
    let answer
    try {
      const result = await verbs[request.verb](request)
      answer = { result: result === undefined ? null : result }
    } catch (error) {
      answer = { error: codeOf(error), message: error.stack }
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`)
  }
  for (const member of members.values()) await member.live.consumer.disconnect()
  await admin.disconnect()
}

main()
