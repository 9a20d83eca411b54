// The Java client (kafka-clients) behind the verbs of tests/conformance/clients: one JSON request per line in, one
// answer per line out. Run as a single source file; JSON comes from the Jackson that Kafka's jars bring along.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class Client {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Map<String, Member> MEMBERS = new HashMap<>();
    private static String bootstrapServers;
    private static Admin admin;

    public static void main(String[] arguments) throws Exception {
        bootstrapServers = arguments[0];
        admin = Admin.create(settings());
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            Map<String, Object> answer = new HashMap<>();
            try {
                answer.put("result", carryOut(JSON.readTree(line)));
            } catch (Exception raised) {
                Throwable cause = raised instanceof ExecutionException ? raised.getCause() : raised;
                boolean fromBroker = cause instanceof ApiException;
                answer.put("error", fromBroker ? Errors.forException(cause).name() : cause.getClass().getSimpleName());
                answer.put("message", String.valueOf(cause.getMessage()));
            }
            System.out.println(JSON.writeValueAsString(answer));
        }
        for (Member member : MEMBERS.values()) {
            member.order("leave");
        }
        admin.close();
    }

    private static Object carryOut(JsonNode request) throws Exception {
        String topic = request.path("topic").asText();
        String group = request.path("group").asText();
        String member = request.path("member").asText();
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        switch (request.get("verb").asText()) {
            case "produce":
                return produce(topic, request.get("records"), request.get("compression").asText());
            case "consume":
                return consume(topic, request);
            case "offset_of":
                return offsetOf(new TopicPartition(topic, request.get("partition").asInt()), request.get("at"));
            case "join":
                String instanceId = request.path("instance_id").asText(null);
                MEMBERS.put(member, new Member(group, topic, instanceId, request.path("protocol").asText()));
                MEMBERS.get(member).start();
                return null;
            case "state":
                return MEMBERS.get(member).state();
            case "commit":
                MEMBERS.get(member).order("commit");
                return null;
            case "leave":
                if (MEMBERS.containsKey(member)) {
                    MEMBERS.remove(member).order("leave");
                }
                return null;
            case "committed":
                return committed(group, topic);
            case "create_topic":
                Map<String, String> configs = new HashMap<>();
                request.get("configs").fields().forEachRemaining(entry -> configs.put(entry.getKey(), entry.getValue().asText()));
                NewTopic created = new NewTopic(topic, request.get("partitions").asInt(), (short) 1).configs(configs);
                admin.createTopics(List.of(created)).all().get();
                return null;
            case "partition_count":
                return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size();
            case "topic_config":
                Map<String, String> found = new HashMap<>();
                for (ConfigEntry entry : admin.describeConfigs(List.of(resource)).all().get().get(resource).entries()) {
                    found.put(entry.name(), entry.value());
                }
                return found;
            case "set_topic_config":
                ConfigEntry entry = new ConfigEntry(request.get("key").asText(), request.get("value").asText());
                AlterConfigOp change = new AlterConfigOp(entry, AlterConfigOp.OpType.SET);
                admin.incrementalAlterConfigs(Map.of(resource, List.of(change))).all().get();
                return null;
            case "grow_topic":
                admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(request.get("partitions").asInt()))).all().get();
                return null;
            case "delete_topic":
                admin.deleteTopics(List.of(topic)).all().get();
                return null;
            case "groups":
                Set<String> names = new TreeSet<>();
                admin.listGroups().all().get().forEach(listing -> names.add(listing.groupId()));
                return names;
            case "delete_group":
                admin.deleteConsumerGroups(List.of(group)).all().get();
                return null;
            default:
                throw new IllegalArgumentException(request.toString());
        }
    }

    private static Properties settings() {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrapServers);
        settings.put("key.serializer", StringSerializer.class.getName());
        settings.put("value.serializer", StringSerializer.class.getName());
        settings.put("key.deserializer", StringDeserializer.class.getName());
        settings.put("value.deserializer", StringDeserializer.class.getName());
        return settings;
    }

    private static Object produce(String topic, JsonNode records, String compression) throws Exception {
        Properties settings = settings();
        settings.put("enable.idempotence", "true");
        settings.put("compression.type", compression);
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(settings)) {
            for (JsonNode row : records) {
                Integer partition = row.get("partition").isNull() ? null : row.get("partition").asInt();
                Long timestamp = row.get("timestamp_ms").isNull() ? null : row.get("timestamp_ms").asLong();
                ProducerRecord<String, String> record = new ProducerRecord<>(
                    topic, partition, timestamp, row.get("key").asText(null), row.get("value").asText(null));
                for (JsonNode header : row.get("headers")) {
                    record.headers().add(header.get(0).asText(), header.get(1).asText().getBytes(StandardCharsets.UTF_8));
                }
                sent.add(producer.send(record));
            }
            List<List<Long>> placed = new ArrayList<>();
            for (Future<RecordMetadata> future : sent) {
                RecordMetadata metadata = future.get();
                placed.add(List.of((long) metadata.partition(), metadata.offset()));
            }
            return placed;
        }
    }

    private static Object consume(String topic, JsonNode request) {
        List<TopicPartition> wanted = new ArrayList<>();
        request.get("partitions").forEach(number -> wanted.add(new TopicPartition(topic, number.asInt())));
        List<Map<String, Object>> found = new ArrayList<>();
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(settings())) {
            consumer.assign(wanted);
            JsonNode start = request.get("start");
            if (start.isNumber()) {
                Map<TopicPartition, Long> times = new HashMap<>();
                wanted.forEach(partition -> times.put(partition, start.asLong()));
                for (Map.Entry<TopicPartition, OffsetAndTimestamp> entry : consumer.offsetsForTimes(times).entrySet()) {
                    if (entry.getValue() == null) {
                        consumer.seekToEnd(List.of(entry.getKey()));
                    } else {
                        consumer.seek(entry.getKey(), entry.getValue().offset());
                    }
                }
            } else if (start.asText().equals("earliest")) {
                consumer.seekToBeginning(wanted);
            } else {
                consumer.seekToEnd(wanted);
            }
            long deadline = System.currentTimeMillis() + request.get("timeout_ms").asLong();
            while (found.size() < request.get("count").asInt() && System.currentTimeMillis() < deadline) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
                    found.add(row(record));
                }
            }
        }
        return found;
    }

    private static Map<String, Object> row(ConsumerRecord<String, String> record) {
        Map<String, Object> row = new HashMap<>();
        List<List<String>> headers = new ArrayList<>();
        for (Header header : record.headers()) {
            headers.add(List.of(header.key(), new String(header.value(), StandardCharsets.UTF_8)));
        }
        row.put("value", record.value());
        row.put("key", record.key());
        row.put("headers", headers);
        row.put("partition", record.partition());
        row.put("timestamp_ms", record.timestamp());
        row.put("offset", record.offset());
        return row;
    }

    private static Object offsetOf(TopicPartition partition, JsonNode at) throws Exception {
        OffsetSpec spec = at.isNumber() ? OffsetSpec.forTimestamp(at.asLong())
            : at.asText().equals("earliest") ? OffsetSpec.earliest() : OffsetSpec.latest();
        long offset = admin.listOffsets(Map.of(partition, spec)).partitionResult(partition).get().offset();
        return offset < 0 ? null : offset;
    }

    private static Object committed(String group, String topic) throws Exception {
        Map<Integer, Long> found = new HashMap<>();
        admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().forEach((partition, offset) -> {
            if (partition.topic().equals(topic) && offset != null) {
                found.put(partition.partition(), offset.offset());
            }
        });
        return found;
    }

    /** A group member that polls on a thread of its own; everything that touches its consumer runs there. */
    private static class Member extends Thread implements ConsumerRebalanceListener {
        private final BlockingQueue<Map.Entry<String, CompletableFuture<Void>>> orders = new LinkedBlockingQueue<>();
        private final KafkaConsumer<String, String> consumer;
        private volatile List<Integer> partitions = List.of();
        private volatile int rebalances = 0;
        private volatile int records = 0;

        Member(String group, String topic, String instanceId, String protocol) {
            Properties settings = settings();
            settings.put("group.id", group);
            settings.put("auto.offset.reset", "earliest");
            settings.put("enable.auto.commit", "false");
            settings.put("group.protocol", protocol);
            if (protocol.equals("classic")) {
                settings.put("session.timeout.ms", "10000");
                settings.put("heartbeat.interval.ms", "500");
            }
            Optional.ofNullable(instanceId).ifPresent(id -> settings.put("group.instance.id", id));
            setDaemon(true);
            consumer = new KafkaConsumer<>(settings);
            if (topic.startsWith("^")) {
                consumer.subscribe(new SubscriptionPattern(topic), this);
            } else {
                consumer.subscribe(List.of(topic), this);
            }
        }

        void order(String what) throws Exception {
            CompletableFuture<Void> done = new CompletableFuture<>();
            orders.put(Map.entry(what, done));
            done.get();
        }

        Object state() {
            return Map.of("partitions", partitions, "rebalances", rebalances, "records", records);
        }

        @Override
        public void run() {
            while (true) {
                records += consumer.poll(Duration.ofMillis(100)).count();
                Map.Entry<String, CompletableFuture<Void>> order = orders.poll();
                if (order == null) {
                    continue;
                }
                try {
                    if (order.getKey().equals("commit")) {
                        consumer.commitSync();
                    } else {
                        consumer.close();
                    }
                    order.getValue().complete(null);
                } catch (Exception raised) {
                    order.getValue().completeExceptionally(raised);
                }
                if (order.getKey().equals("leave")) {
                    return;
                }
            }
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> assigned) {
            rebalances += 1;
            remember();
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> revoked) {
            partitions = List.of();
        }

        private void remember() {
            List<Integer> numbers = new ArrayList<>();
            consumer.assignment().forEach(partition -> numbers.add(partition.partition()));
            partitions = numbers;
        }
    }
}
