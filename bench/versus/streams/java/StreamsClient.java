import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.ObjectWriter;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DatumReader;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Aggregator;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.SessionWindows;
import org.apache.kafka.streams.kstream.StreamJoined;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.WindowedSerdes;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.SessionStore;
import org.apache.kafka.streams.state.WindowStore;

/** The rows on Kafka Streams: BOOTSTRAP ROW GUARANTEE SUFFIX FOLDER CACHE_BYTES. */
public final class StreamsClient {
    public static final class Order {
        public String order_id;
        public String customer_id;
        public double amount;
        public String status;
    }

    public static final class Payment {
        public String order_id;
        public double paid;
        public String method;
    }

    public static final class Customer {
        public String name;
    }

    public static final class Total {
        public double amount;
        public String text;

        public Total() {}

        Total(double amount, String text) {
            this.amount = amount;
            this.text = text;
        }
    }

    private static final ObjectMapper JSON =
        new ObjectMapper().configure(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES, false);
    private static final Serde<Order> ORDERS = json(Order.class);
    private static final Serde<Total> TOTALS = json(Total.class);
    private static final Serde<String> TEXT = Serdes.String();

    private static <T> Serde<T> json(Class<T> type) {
        ObjectReader reader = JSON.readerFor(type);
        ObjectWriter writer = JSON.writerFor(type);
        return Serdes.serdeFrom(
            (topic, value) -> {
                try {
                    return value == null ? null : writer.writeValueAsBytes(value);
                } catch (java.io.IOException error) {
                    throw new SerializationException(error);
                }
            },
            (topic, data) -> {
                try {
                    return data == null ? null : reader.readValue(data);
                } catch (java.io.IOException error) {
                    throw new SerializationException(error);
                }
            });
    }

    /** Avro behind a registry's frame, read as Confluent's deserializer does: its jars are not at Maven Central. */
    private static Deserializer<GenericRecord> framed(String registry) {
        Map<Integer, DatumReader<GenericRecord>> readers = new HashMap<>();
        HttpClient client = HttpClient.newHttpClient();
        return new Deserializer<>() {
            private BinaryDecoder decoder;

            @Override
            public GenericRecord deserialize(String topic, byte[] data) {
                try {
                    int id = ByteBuffer.wrap(data, 1, 4).getInt();
                    DatumReader<GenericRecord> reader = readers.get(id);
                    if (reader == null) {
                        URI place = URI.create(registry + "/schemas/ids/" + id);
                        String answer = client.send(HttpRequest.newBuilder(place).build(), BodyHandlers.ofString()).body();
                        reader = new GenericDatumReader<>(new Schema.Parser().parse(JSON.readTree(answer).get("schema").asText()));
                        readers.put(id, reader);
                    }
                    decoder = DecoderFactory.get().binaryDecoder(data, 5, data.length - 5, decoder);
                    return reader.read(null, decoder);
                } catch (java.io.IOException | InterruptedException error) {
                    throw new SerializationException(error);
                }
            }
        };
    }

    private static void sum(KGroupedStream<String, ?> completed, Aggregator<String, Object, Double> add, String out) {
        @SuppressWarnings("unchecked")
        KGroupedStream<String, Object> orders = (KGroupedStream<String, Object>) completed;
        orders
            .windowedBy(TimeWindows.ofSizeWithNoGrace(Duration.ofHours(1)))
            .aggregate(
                () -> 0.0,
                add,
                Materialized.<String, Double, WindowStore<Bytes, byte[]>>as("revenue")
                    .withKeySerde(TEXT).withValueSerde(Serdes.Double()))
            .toStream()
            .to(out, Produced.with(
                WindowedSerdes.timeWindowedSerdeFrom(String.class, Duration.ofHours(1).toMillis()), Serdes.Double()));
    }

    private static void build(StreamsBuilder builder, String row, String suffix) {
        // Its orders are no JSON.
        KStream<String, Order> orders = row.equals("hourly-avro")
            ? null : builder.stream("orders-" + suffix, Consumed.with(TEXT, ORDERS));
        String out = "out-" + suffix;
        switch (row) {
            case "stateless", "expressions" -> orders
                .filter((key, order) -> order.status.equals("COMPLETED"))
                .mapValues(order -> new Total(order.amount * 1.2, order.order_id))
                .to(out, Produced.with(TEXT, TOTALS));
            case "hourly-revenue", "hourly-expressions", "many-keys" -> sum(
                orders
                    .filter((key, order) -> order.status.equals("COMPLETED"))
                    .groupByKey(Grouped.with(TEXT, ORDERS)),
                (key, order, total) -> total + ((Order) order).amount, out);
            case "hourly-avro" -> {
                Serde<GenericRecord> kind = Serdes.serdeFrom((topic, order) -> null, framed(System.getenv("BENCH_REGISTRY_URL")));
                sum(
                    builder.stream("orders-" + suffix, Consumed.with(TEXT, kind))
                        .filter((key, order) -> order.get("status").toString().equals("COMPLETED"))
                        .groupByKey(Grouped.with(TEXT, kind)),
                    (key, order, total) -> total + (Double) ((GenericRecord) order).get("amount"), out);
            }
            case "enriched" -> {
                Serde<Customer> rows = json(Customer.class);
                KTable<String, Customer> customers = builder.table(
                    "customers-" + suffix, Consumed.with(TEXT, rows),
                    Materialized.<String, Customer, KeyValueStore<Bytes, byte[]>>as("customers")
                        .withKeySerde(TEXT).withValueSerde(rows));
                orders
                    .join(customers, (order, customer) -> new Total(order.amount, customer.name), Joined.with(TEXT, ORDERS, rows))
                    .to(out, Produced.with(TEXT, TOTALS));
            }
            case "paid" -> {
                Serde<Payment> kind = json(Payment.class);
                KStream<String, Payment> payments = builder.stream("payments-" + suffix, Consumed.with(TEXT, kind));
                orders
                    .join(payments, (order, payment) -> new Total(payment.paid, order.order_id),
                        JoinWindows.ofTimeDifferenceAndGrace(Duration.ofSeconds(1), Duration.ofMinutes(10)),
                        StreamJoined.with(TEXT, ORDERS, kind))
                    .to(out, Produced.with(TEXT, TOTALS));
            }
            case "sessions" -> orders
                .groupByKey(Grouped.with(TEXT, ORDERS))
                .windowedBy(SessionWindows.ofInactivityGapWithNoGrace(Duration.ofHours(1)))
                .count(Materialized.<String, Long, SessionStore<Bytes, byte[]>>as("sessions")
                    .withKeySerde(TEXT).withValueSerde(Serdes.Long()))
                .toStream()
                .to(out, Produced.with(WindowedSerdes.sessionWindowedSerdeFrom(String.class), Serdes.Long()));
            default -> throw new IllegalArgumentException(row);
        }
    }

    public static void main(String[] arguments) {
        String suffix = arguments[3];
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, "kafka-streams-" + suffix);
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, arguments[2]);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments[4]);
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, arguments[5]);
        settings.put("auto.offset.reset", "earliest");
        if (arguments[2].equals("at_least_once")) {
            settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1000);
        }
        if (arguments[1].equals("paid")) {
            settings.put(StreamsConfig.MAX_TASK_IDLE_MS_CONFIG, 500);
        }
        StreamsBuilder builder = new StreamsBuilder();
        build(builder, arguments[1], suffix);
        KafkaStreams streams = new KafkaStreams(builder.build(settings), settings);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return null;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }

    private StreamsClient() {}
}
