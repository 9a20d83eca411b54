// What Kafka Streams does with our scenarios, as JSON: one object per scenario on standard output.
//
// A scenario names a topology of Topologies.java and lists steps: a record into a topic, or a move of the wall clock.
// For every step all that was produced is written down, internal topics and changelogs included, with bytes as
// ISO-8859-1 text. Stores have no cache unless the scenario says so, so every update is there.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Properties;
import java.util.TreeSet;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.TestInputTopic;
import org.apache.kafka.streams.TestOutputTopic;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.TopologyTestDriver;
import org.apache.kafka.streams.test.TestRecord;

public final class Recorder {
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(final String[] arguments) throws Exception {
        final ObjectNode recorded = JSON.createObjectNode();
        for (final JsonNode scenario : JSON.readTree(new File(arguments[0]))) {
            try {
                recorded.set(scenario.get("name").asText(), run(scenario));
            } catch (final RuntimeException error) {
                throw new IllegalStateException("scenario " + scenario.get("name").asText(), error);
            }
        }
        System.out.println(JSON.writerWithDefaultPrettyPrinter().writeValueAsString(recorded));
    }

    private static ObjectNode run(final JsonNode scenario) {
        final Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, "app");
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, "nowhere:1");
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, scenario.path("cache_bytes").asText("0"));
        settings.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, "org.apache.kafka.common.serialization.Serdes$StringSerde");
        settings.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, "org.apache.kafka.common.serialization.Serdes$StringSerde");
        settings.put("__emit.interval.ms.kstreams.outer.join.spurious.results.fix__", "0");
        settings.put("__emit.interval.ms.kstreams.windowed.aggregation__", "0");
        final Topology topology = Topologies.build(scenario.get("topology").asText());
        final ObjectNode result = JSON.createObjectNode();
        result.put("describe", topology.describe().toString());
        try (TopologyTestDriver driver = new TopologyTestDriver(topology, settings, Instant.ofEpochMilli(0))) {
            final ArrayNode steps = result.putArray("steps");
            for (final JsonNode step : scenario.get("steps")) {
                if (step.isNumber()) {
                    driver.advanceWallClockTime(Duration.ofMillis(step.asLong()));
                } else {
                    final TestInputTopic<String, String> topic = driver.createInputTopic(
                        step.get(0).asText(), new StringSerializer(), new StringSerializer());
                    topic.pipeInput(new TestRecord<>(text(step.get(1)), text(step.get(2)), Instant.ofEpochMilli(step.get(3).asLong())));
                }
                steps.add(produced(driver));
            }
            result.put("dropped", driver.metrics().entrySet().stream()
                .filter(entry -> entry.getKey().name().equals("dropped-records-total"))
                .mapToDouble(entry -> (Double) entry.getValue().metricValue()).sum());
        }
        return result;
    }

    private static String text(final JsonNode node) {
        return node == null || node.isNull() ? null : node.asText();
    }

    private static ObjectNode produced(final TopologyTestDriver driver) {
        final ObjectNode step = JSON.createObjectNode();
        for (final String name : new TreeSet<>(driver.producedTopicNames())) {
            final TestOutputTopic<byte[], byte[]> topic =
                driver.createOutputTopic(name, new ByteArrayDeserializer(), new ByteArrayDeserializer());
            if (topic.isEmpty()) {
                continue;
            }
            final ArrayNode records = step.putArray(name);
            for (final TestRecord<byte[], byte[]> record : topic.readRecordsToList()) {
                records.addArray().add(bytes(record.key())).add(bytes(record.value())).add(record.timestamp());
            }
        }
        return step;
    }

    private static String bytes(final byte[] data) {
        return data == null ? null : new String(data, StandardCharsets.ISO_8859_1);
    }
}
