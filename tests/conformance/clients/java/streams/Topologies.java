// The topologies of the scenarios, by name; tests/unit/streams/topologies.py has the same in Python.

import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.regex.Pattern;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.ContextualFixedKeyProcessor;
import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.SessionStore;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;

final class Topologies {
    private static final Map<String, Consumer<StreamsBuilder>> ALL = new TreeMap<>();

    private static final String OPTIMIZED = "_optimized";

    static Topology build(final String name) {
        final StreamsBuilder builder = new StreamsBuilder();
        final Properties settings = new Properties();
        if (name.endsWith(OPTIMIZED)) {
            settings.put(StreamsConfig.TOPOLOGY_OPTIMIZATION_CONFIG, StreamsConfig.OPTIMIZE);
        }
        ALL.get(name.replace(OPTIMIZED, "")).accept(builder);
        return builder.build(settings);
    }

    private static Duration ms(final long millis) {
        return Duration.ofMillis(millis);
    }

    private static KStream<String, String> in(final StreamsBuilder b) {
        return b.stream("in");
    }

    private static KStream<String, String> left(final StreamsBuilder b) {
        return b.stream("left");
    }

    private static KStream<String, String> right(final StreamsBuilder b) {
        return b.stream("right");
    }

    private static KTable<String, String> leftTable(final StreamsBuilder b) {
        return b.table("left");
    }

    private static KTable<String, String> rightTable(final StreamsBuilder b) {
        return b.table("right");
    }

    private static String both(final String one, final String other) {
        return one + "+" + other;
    }

    private static <W> void out(final KTable<Windowed<String>, W> table, final Class<W> value) {
        table.toStream((window, any) -> window.key() + "@" + window.window().start() + "-" + window.window().end())
            .to("out", Produced.with(Serdes.String(), Serdes.serdeFrom(value)));
    }

    private static Materialized<String, String, KeyValueStore<Bytes, byte[]>> store(final String name) {
        return Materialized.<String, String, KeyValueStore<Bytes, byte[]>>as(name)
            .withKeySerde(Serdes.String()).withValueSerde(Serdes.String());
    }

    private static Materialized<String, String, WindowStore<Bytes, byte[]>> windows(final String name) {
        return Materialized.<String, String, WindowStore<Bytes, byte[]>>as(name)
            .withKeySerde(Serdes.String()).withValueSerde(Serdes.String());
    }

    private static KTable<String, String> versioned(final StreamsBuilder b, final String topic, final String store) {
        return versioned(b, topic, store, 1000);
    }

    private static KTable<String, String> versioned(final StreamsBuilder b, final String topic, final String store, final long history) {
        return b.table(topic, Materialized.as(Stores.persistentVersionedKeyValueStore(store, ms(history))));
    }

    static {
        stateless();
        grouped();
        windowed();
        sessionsAndSliding();
        tables();
        streamJoins();
        tableJoins();
        suppressed();
        processors();
        cogrouped();
    }

    private static void stateless() {
        ALL.put("filter", b -> in(b).filter((k, v) -> v != null && v.startsWith("a")).to("out"));
        ALL.put("filter_not", b -> in(b).filterNot((k, v) -> v != null && v.startsWith("a")).to("out"));
        ALL.put("map", b -> in(b).map((k, v) -> KeyValue.pair(v, k)).to("out"));
        ALL.put("map_values", b -> in(b).mapValues(v -> v + "!").to("out"));
        ALL.put("map_values_with_key", b -> in(b).mapValues((k, v) -> k + v).to("out"));
        ALL.put("flat_map", b -> in(b).flatMap((k, v) -> List.of(KeyValue.pair(v, k), KeyValue.pair(k, v))).to("out"));
        ALL.put("flat_map_values", b -> in(b).flatMapValues(v -> Arrays.asList(v.split(" "))).to("out"));
        ALL.put("select_key", b -> in(b).selectKey((k, v) -> v).to("out"));
        ALL.put("peek_and_for_each", b -> in(b).peek((k, v) -> { }).foreach((k, v) -> { }));
        ALL.put("merge", b -> left(b).merge(right(b)).to("out"));
        ALL.put("split", b -> {
            final Map<String, KStream<String, String>> branches = in(b).split()
                .branch((k, v) -> v.startsWith("a")).branch((k, v) -> v.startsWith("b")).defaultBranch();
            branches.get("KSTREAM-BRANCH-00000000011").to("a");
            branches.get("KSTREAM-BRANCH-00000000012").to("b");
            branches.get("KSTREAM-BRANCH-00000000010").to("others");
        });
        ALL.put("split_named", b -> {
            final Map<String, KStream<String, String>> branches = in(b).split(Named.as("split-"))
                .branch((k, v) -> v.startsWith("a"), Branched.as("a")).branch((k, v) -> v.startsWith("b"), Branched.as("b"))
                .noDefaultBranch();
            branches.get("split-a").to("a");
            branches.get("split-b").to("b");
        });
        ALL.put("named", b -> b.<String, String>stream("in", Consumed.as("source")).filter((k, v) -> true, Named.as("kept"))
            .mapValues(v -> v, Named.as("mapped")).selectKey((k, v) -> v, Named.as("keyed")).to("out", Produced.as("sink")));
        ALL.put("two_topics", b -> b.<String, String>stream(List.of("left", "right")).to("out"));
        ALL.put("one_source_twice", b -> {
            in(b).mapValues(v -> v + 1).to("one");
            in(b).mapValues(v -> v + 2).to("two");
        });
        ALL.put("repartition", b -> in(b).repartition().to("out"));
        ALL.put("repartition_named", b -> in(b).selectKey((k, v) -> v)
            .repartition(Repartitioned.<String, String>as("again").withNumberOfPartitions(3)).to("out"));
        ALL.put("to_table", b -> in(b).toTable().toStream().to("out"));
        ALL.put("to_table_rekeyed", b -> in(b).selectKey((k, v) -> v).toTable(store("kept")).toStream().to("out"));
        ALL.put("back_in", b -> {
            in(b).filter((k, v) -> v.length() < 3).mapValues(v -> v + "x").to("in");
            in(b).to("out");
        });
    }

    private static void grouped() {
        ALL.put("count", b -> in(b).groupByKey().count().toStream().to("out", Produced.with(Serdes.String(), Serdes.Long())));
        ALL.put("count_stored", b -> in(b).groupByKey().count(Materialized.as("counts")).toStream()
            .to("out", Produced.with(Serdes.String(), Serdes.Long())));
        ALL.put("count_named", b -> in(b).groupByKey().count(Named.as("counter")).toStream()
            .to("out", Produced.with(Serdes.String(), Serdes.Long())));
        ALL.put("reduce", b -> in(b).groupByKey().reduce(Topologies::both).toStream().to("out"));
        ALL.put("aggregate", b -> in(b).groupByKey().aggregate(() -> "0", (k, v, a) -> both(a, v), store("all"))
            .toStream().to("out"));
        ALL.put("group_by", b -> in(b).groupBy((k, v) -> v).count().toStream().to("out", Produced.with(Serdes.String(), Serdes.Long())));
        ALL.put("group_by_null", b -> in(b).groupBy((k, v) -> v.isEmpty() ? null : v).count().toStream()
            .to("out", Produced.with(Serdes.String(), Serdes.Long())));
        ALL.put("group_by_named", b -> in(b).groupBy((k, v) -> v, Grouped.as("by-value")).count(Materialized.as("counts"))
            .toStream().to("out", Produced.with(Serdes.String(), Serdes.Long())));
        ALL.put("two_aggregates", b -> {
            final KGroupedStream<String, String> grouped = in(b).selectKey((k, v) -> v).groupByKey();
            grouped.count().toStream().to("counts", Produced.with(Serdes.String(), Serdes.Long()));
            grouped.reduce(Topologies::both).toStream().to("out");
        });
        ALL.put("two_aggregates_named", b -> {
            final KGroupedStream<String, String> grouped = in(b).selectKey((k, v) -> v).groupByKey(Grouped.as("mine"));
            grouped.count().toStream().to("counts", Produced.with(Serdes.String(), Serdes.Long()));
            grouped.reduce(Topologies::both).toStream().to("out");
        });
        ALL.put("count_filtered", b -> in(b).groupByKey().count().filter((k, v) -> v % 2 == 0).toStream()
            .to("out", Produced.with(Serdes.String(), Serdes.Long())));
        ALL.put("count_of_counts", b -> in(b).groupByKey().count().groupBy((k, v) -> KeyValue.pair("n" + v, k),
            Grouped.with(Serdes.String(), Serdes.String())).reduce((a, v) -> both(a, v), (a, v) -> a + "-" + v).toStream().to("out"));
    }

    private static void windowed() {
        final TimeWindows tumbling = TimeWindows.ofSizeWithNoGrace(ms(10));
        final TimeWindows late = TimeWindows.ofSizeAndGrace(ms(10), ms(5));
        final TimeWindows hopping = TimeWindows.ofSizeAndGrace(ms(10), ms(5)).advanceBy(ms(4));
        ALL.put("tumbling", b -> out(in(b).groupByKey().windowedBy(tumbling).count(), Long.class));
        ALL.put("tumbling_stored", b -> out(in(b).groupByKey().windowedBy(tumbling)
            .aggregate(() -> "0", (k, v, a) -> both(a, v), windows("hours")), String.class));
        ALL.put("tumbling_grace", b -> out(in(b).groupByKey().windowedBy(late).count(), Long.class));
        ALL.put("tumbling_retention", b -> out(in(b).groupByKey().windowedBy(late)
            .reduce(Topologies::both, windows("kept").withRetention(ms(100))), String.class));
        ALL.put("hopping", b -> out(in(b).groupByKey().windowedBy(hopping).reduce(Topologies::both), String.class));
        ALL.put("unlimited", b -> out(in(b).groupByKey().windowedBy(UnlimitedWindows.of().startOn(java.time.Instant.ofEpochMilli(5))).count(), Long.class));
        ALL.put("tumbling_rekeyed", b -> out(in(b).groupBy((k, v) -> v).windowedBy(tumbling).count(), Long.class));
        ALL.put("tumbling_close", b -> out(in(b).groupByKey().windowedBy(late)
            .emitStrategy(EmitStrategy.onWindowClose()).reduce(Topologies::both), String.class));
        ALL.put("hopping_close", b -> out(in(b).groupByKey().windowedBy(hopping)
            .emitStrategy(EmitStrategy.onWindowClose()).reduce(Topologies::both), String.class));
        ALL.put("tumbling_key_bytes", b -> in(b).groupByKey().windowedBy(tumbling).count().toStream()
            .to("out", Produced.with(WindowedSerdes.timeWindowedSerdeFrom(String.class, 10), Serdes.Long())));
        ALL.put("tumbling_regrouped", b -> in(b).groupByKey().windowedBy(tumbling).count()
            .groupBy((w, v) -> KeyValue.pair("w" + w.window().start(), w.key()), Grouped.with(Serdes.String(), Serdes.String()))
            .reduce((a, v) -> both(a, v), (a, v) -> a + "-" + v).toStream().to("out"));
    }

    private static void sessionsAndSliding() {
        final SessionWindows session = SessionWindows.ofInactivityGapWithNoGrace(ms(10));
        final SessionWindows late = SessionWindows.ofInactivityGapAndGrace(ms(10), ms(15));
        final SlidingWindows sliding = SlidingWindows.ofTimeDifferenceWithNoGrace(ms(10));
        final SlidingWindows slidingLate = SlidingWindows.ofTimeDifferenceAndGrace(ms(10), ms(50));
        ALL.put("session", b -> out(in(b).groupByKey().windowedBy(session).count(), Long.class));
        ALL.put("session_grace", b -> out(in(b).groupByKey().windowedBy(late).reduce(Topologies::both), String.class));
        ALL.put("session_aggregate", b -> out(in(b).groupByKey().windowedBy(late).aggregate(() -> "0", (k, v, a) -> both(a, v),
            (k, one, other) -> "(" + one + "|" + other + ")",
            Materialized.<String, String, SessionStore<Bytes, byte[]>>as("sessions").withValueSerde(Serdes.String())), String.class));
        ALL.put("session_close", b -> out(in(b).groupByKey().windowedBy(late)
            .emitStrategy(EmitStrategy.onWindowClose()).reduce(Topologies::both), String.class));
        ALL.put("session_key_bytes", b -> in(b).groupByKey().windowedBy(session).count().toStream()
            .to("out", Produced.with(WindowedSerdes.sessionWindowedSerdeFrom(String.class), Serdes.Long())));
        ALL.put("sliding", b -> out(in(b).groupByKey().windowedBy(sliding).reduce(Topologies::both), String.class));
        ALL.put("sliding_grace", b -> out(in(b).groupByKey().windowedBy(slidingLate).reduce(Topologies::both), String.class));
        ALL.put("sliding_count", b -> out(in(b).groupByKey().windowedBy(slidingLate).count(), Long.class));
        ALL.put("sliding_close", b -> out(in(b).groupByKey().windowedBy(SlidingWindows.ofTimeDifferenceAndGrace(ms(10), ms(5)))
            .emitStrategy(EmitStrategy.onWindowClose()).reduce(Topologies::both), String.class));
    }

    private static void tables() {
        ALL.put("table", b -> b.<String, String>table("in").toStream().to("out"));
        ALL.put("table_stored", b -> b.table("in", store("rows")).toStream().to("out"));
        ALL.put("table_named", b -> b.table("in", Consumed.<String, String>as("rows")).toStream(Named.as("facts")).to("out"));
        ALL.put("table_filter", b -> b.<String, String>table("in").filter((k, v) -> v.startsWith("a")).toStream().to("out"));
        ALL.put("table_filter_stored", b -> b.<String, String>table("in").filter((k, v) -> v.startsWith("a"), store("kept")).toStream().to("out"));
        ALL.put("table_filter_not", b -> b.table("in", store("rows")).filterNot((k, v) -> v.startsWith("a")).toStream().to("out"));
        ALL.put("table_map_values", b -> b.<String, String>table("in").mapValues(v -> v + "!").toStream().to("out"));
        ALL.put("table_map_values_stored", b -> b.<String, String>table("in").mapValues((k, v) -> k + v, store("mapped")).toStream().to("out"));
        ALL.put("table_group_by_count", b -> b.<String, String>table("in").groupBy((k, v) -> KeyValue.pair(v, k)).count()
            .toStream().to("out", Produced.with(Serdes.String(), Serdes.Long())));
        ALL.put("table_group_by_reduce", b -> b.<String, String>table("in").groupBy((k, v) -> KeyValue.pair(v.substring(0, 1), v))
            .reduce((a, v) -> both(a, v), (a, v) -> a + "-" + v).toStream().to("out"));
        ALL.put("table_group_by_aggregate", b -> b.<String, String>table("in").groupBy((k, v) -> KeyValue.pair(v.substring(0, 1), v), Grouped.as("first"))
            .aggregate(() -> "0", (k, v, a) -> both(a, v), (k, v, a) -> a + "-" + v, store("groups")).toStream().to("out"));
        ALL.put("table_filter_group_by", b -> b.<String, String>table("in").filter((k, v) -> v.length() > 1).mapValues(v -> v.toUpperCase())
            .groupBy((k, v) -> KeyValue.pair(v.substring(0, 1), v)).reduce((a, v) -> both(a, v), (a, v) -> a + "-" + v).toStream().to("out"));
        ALL.put("table_filter_sends_old", b -> b.<String, String>table("in").filter((k, v) -> v.startsWith("a"), store("kept"))
            .groupBy((k, v) -> KeyValue.pair(v, k)).count().toStream().to("out", Produced.with(Serdes.String(), Serdes.Long())));
    }

    private static void streamJoins() {
        final JoinWindows near = JoinWindows.ofTimeDifferenceWithNoGrace(ms(10));
        final JoinWindows late = JoinWindows.ofTimeDifferenceAndGrace(ms(10), ms(20));
        final JoinWindows after = JoinWindows.ofTimeDifferenceAndGrace(ms(0), ms(20)).after(ms(10));
        final JoinWindows before = JoinWindows.ofTimeDifferenceAndGrace(ms(0), ms(20)).before(ms(10));
        ALL.put("stream_stream", b -> left(b).join(right(b), Topologies::both, near).to("out"));
        ALL.put("stream_stream_late", b -> left(b).join(right(b), Topologies::both, late).to("out"));
        ALL.put("stream_stream_left", b -> left(b).leftJoin(right(b), Topologies::both, near).to("out"));
        ALL.put("stream_stream_left_late", b -> left(b).leftJoin(right(b), Topologies::both, late).to("out"));
        ALL.put("stream_stream_outer", b -> left(b).outerJoin(right(b), Topologies::both, near).to("out"));
        ALL.put("stream_stream_outer_late", b -> left(b).outerJoin(right(b), Topologies::both, late).to("out"));
        ALL.put("stream_stream_after", b -> left(b).join(right(b), Topologies::both, after).to("out"));
        ALL.put("stream_stream_before", b -> left(b).join(right(b), Topologies::both, before).to("out"));
        ALL.put("stream_stream_outer_after", b -> left(b).outerJoin(right(b), Topologies::both, after).to("out"));
        ALL.put("stream_stream_left_before", b -> left(b).leftJoin(right(b), Topologies::both, before).to("out"));
        ALL.put("stream_stream_self", b -> {
            final KStream<String, String> one = in(b);
            one.join(one, Topologies::both, late).to("out");
        });
        ALL.put("stream_stream_rekeyed", b -> left(b).selectKey((k, v) -> v).join(right(b).selectKey((k, v) -> v), Topologies::both, near).to("out"));
        ALL.put("stream_stream_rekeyed_left", b -> left(b).selectKey((k, v) -> v).leftJoin(right(b), Topologies::both, near).to("out"));
        ALL.put("stream_stream_named", b -> left(b).selectKey((k, v) -> v).outerJoin(right(b).selectKey((k, v) -> v), Topologies::both, near,
            StreamJoined.with(Serdes.String(), Serdes.String(), Serdes.String()).withName("met").withStoreName("meeting")).to("out"));
        ALL.put("stream_table", b -> left(b).join(rightTable(b), Topologies::both).to("out"));
        ALL.put("stream_table_left", b -> left(b).leftJoin(rightTable(b), Topologies::both).to("out"));
        ALL.put("stream_table_rekeyed", b -> left(b).selectKey((k, v) -> v).join(rightTable(b), Topologies::both).to("out"));
        ALL.put("stream_table_rekeyed_named", b -> left(b).selectKey((k, v) -> v).leftJoin(rightTable(b), Topologies::both, Joined.as("enriched")).to("out"));
        ALL.put("stream_table_filtered", b -> left(b).join(rightTable(b).filter((k, v) -> v.startsWith("a")).mapValues(v -> v + "!"), Topologies::both).to("out"));
        ALL.put("stream_global", b -> {
            final GlobalKTable<String, String> table = b.globalTable("right");
            left(b).join(table, (k, v) -> v.isEmpty() ? null : v.substring(0, 1), Topologies::both).to("out");
        });
        ALL.put("stream_global_left", b -> {
            final GlobalKTable<String, String> table = b.globalTable("right", store("everywhere"));
            left(b).leftJoin(table, (k, v) -> v.isEmpty() ? null : v.substring(0, 1), Topologies::both).to("out");
        });
        ALL.put("stream_versioned", b -> left(b).join(versioned(b, "right", "history"), Topologies::both).to("out"));
        ALL.put("stream_versioned_left", b -> left(b).leftJoin(versioned(b, "right", "history"), Topologies::both).to("out"));
        ALL.put("stream_versioned_short", b -> left(b).leftJoin(versioned(b, "right", "history", 20), Topologies::both).to("out"));
        ALL.put("stream_versioned_filtered", b -> left(b).join(versioned(b, "right", "history")
            .filter((k, v) -> v.startsWith("a")).mapValues(v -> v + "!"), Topologies::both).to("out"));
        ALL.put("stream_versioned_grace_inner", b -> left(b).join(versioned(b, "right", "history"), Topologies::both,
            Joined.with(Serdes.String(), Serdes.String(), Serdes.String(), "waiting", ms(10))).to("out"));
        ALL.put("stream_versioned_grace", b -> left(b).leftJoin(versioned(b, "right", "history"), Topologies::both,
            Joined.with(Serdes.String(), Serdes.String(), Serdes.String(), "waiting", ms(10))).to("out"));
    }

    private static void tableJoins() {
        ALL.put("table_table", b -> leftTable(b).join(rightTable(b), Topologies::both).toStream().to("out"));
        ALL.put("table_table_left", b -> leftTable(b).leftJoin(rightTable(b), Topologies::both).toStream().to("out"));
        ALL.put("table_table_outer", b -> leftTable(b).outerJoin(rightTable(b), Topologies::both).toStream().to("out"));
        ALL.put("table_table_stored", b -> leftTable(b).outerJoin(rightTable(b), Topologies::both, store("joined")).toStream().to("out"));
        ALL.put("table_table_named", b -> leftTable(b).join(rightTable(b), Topologies::both, Named.as("met")).toStream().to("out"));
        ALL.put("table_table_group_by", b -> leftTable(b).join(rightTable(b), Topologies::both)
            .groupBy((k, v) -> KeyValue.pair(v, k)).count().toStream().to("out", Produced.with(Serdes.String(), Serdes.Long())));
        ALL.put("table_table_filtered", b -> leftTable(b).filter((k, v) -> v.startsWith("a")).leftJoin(rightTable(b), Topologies::both).toStream().to("out"));
        ALL.put("foreign_key", b -> leftTable(b).join(rightTable(b), v -> v.isEmpty() ? null : v.substring(0, 1), Topologies::both).toStream().to("out"));
        ALL.put("foreign_key_left", b -> leftTable(b).leftJoin(rightTable(b), v -> v.isEmpty() ? null : v.substring(0, 1), Topologies::both).toStream().to("out"));
        ALL.put("foreign_key_stored", b -> leftTable(b).join(rightTable(b), v -> v.isEmpty() ? null : v.substring(0, 1), Topologies::both,
            TableJoined.as("fk"), store("joined")).toStream().to("out"));
        ALL.put("foreign_key_stored_left", b -> leftTable(b).leftJoin(rightTable(b), v -> v.isEmpty() ? null : v.substring(0, 1), Topologies::both,
            store("joined")).toStream().to("out"));
        ALL.put("foreign_key_grouped", b -> leftTable(b).join(rightTable(b), v -> v.isEmpty() ? null : v.substring(0, 1), Topologies::both)
            .groupBy((k, v) -> KeyValue.pair(v, k)).count().toStream().to("out", Produced.with(Serdes.String(), Serdes.Long())));
        ALL.put("foreign_key_versioned", b -> versioned(b, "left", "one").leftJoin(versioned(b, "right", "other"),
            v -> v.isEmpty() ? null : v.substring(0, 1), Topologies::both).toStream().to("out"));
        ALL.put("foreign_key_with_key", b -> leftTable(b).join(rightTable(b), (k, v) -> k.toLowerCase(), Topologies::both).toStream().to("out"));
        ALL.put("versioned_table_left", b -> versioned(b, "left", "one").leftJoin(versioned(b, "right", "other"), Topologies::both).toStream().to("out"));
        ALL.put("versioned_table_outer", b -> versioned(b, "left", "one").outerJoin(versioned(b, "right", "other", 20), Topologies::both).toStream().to("out"));
        ALL.put("versioned_table_short", b -> versioned(b, "in", "history", 20).toStream().to("out"));
        ALL.put("versioned_filter", b -> versioned(b, "in", "history").filter((k, v) -> v.startsWith("a")).toStream().to("out"));
        ALL.put("versioned_filter_stored", b -> versioned(b, "in", "history").filter((k, v) -> v.startsWith("a"),
            Materialized.as(Stores.persistentVersionedKeyValueStore("kept", ms(1000)))).toStream().to("out"));
        ALL.put("versioned_map_values", b -> versioned(b, "in", "history").mapValues(v -> v + "!",
            Materialized.as(Stores.persistentVersionedKeyValueStore("mapped", ms(1000)))).toStream().to("out"));
        ALL.put("versioned_aggregate", b -> in(b).groupByKey().aggregate(() -> "0", (k, v, a) -> both(a, v),
            Materialized.as(Stores.persistentVersionedKeyValueStore("sums", ms(1000)))).toStream().to("out"));
        ALL.put("versioned_reduce", b -> in(b).groupByKey().reduce(Topologies::both,
            Materialized.as(Stores.persistentVersionedKeyValueStore("sums", ms(1000)))).toStream().to("out"));
        ALL.put("table_transform_values", b -> b.<String, String>table("in").transformValues(Marking::new).toStream().to("out"));
        ALL.put("table_transform_values_stored", b -> b.<String, String>table("in").transformValues(Marking::new, store("marked")).toStream().to("out"));
        ALL.put("versioned_table", b -> versioned(b, "in", "history").toStream().to("out"));
        ALL.put("versioned_table_join", b -> versioned(b, "left", "one").join(versioned(b, "right", "other"), Topologies::both).toStream().to("out"));
        ALL.put("versioned_group_by", b -> versioned(b, "in", "history").groupBy((k, v) -> KeyValue.pair(v.substring(0, 1), v))
            .reduce((a, v) -> both(a, v), (a, v) -> a + "-" + v).toStream().to("out"));
    }

    private static void suppressed() {
        final TimeWindows late = TimeWindows.ofSizeAndGrace(ms(10), ms(5));
        ALL.put("suppress_close", b -> out(in(b).groupByKey(Grouped.with(Serdes.String(), Serdes.String())).windowedBy(late).count()
            .suppress(Suppressed.untilWindowCloses(Suppressed.BufferConfig.unbounded())), Long.class));
        ALL.put("suppress_close_session", b -> out(in(b).groupByKey(Grouped.with(Serdes.String(), Serdes.String()))
            .windowedBy(SessionWindows.ofInactivityGapAndGrace(ms(10), ms(5))).count().suppress(Suppressed.untilWindowCloses(Suppressed.BufferConfig.unbounded())), Long.class));
        ALL.put("suppress_time", b -> in(b).groupByKey().count()
            .suppress(Suppressed.untilTimeLimit(ms(10), Suppressed.BufferConfig.unbounded())).toStream()
            .to("out", Produced.with(Serdes.String(), Serdes.Long())));
        ALL.put("suppress_records", b -> b.<String, String>table("in")
            .suppress(Suppressed.untilTimeLimit(ms(1000), Suppressed.BufferConfig.maxRecords(2).emitEarlyWhenFull())).toStream().to("out"));
        ALL.put("suppress_bytes", b -> b.<String, String>table("in")
            .suppress(Suppressed.untilTimeLimit(ms(1000), Suppressed.BufferConfig.maxBytes(100))).toStream().to("out"));
        ALL.put("suppress_joined", b -> left(b).leftJoin(rightTable(b)
            .suppress(Suppressed.untilTimeLimit(ms(10), Suppressed.BufferConfig.unbounded())), Topologies::both).to("out"));
        ALL.put("suppress_named", b -> in(b).groupByKey().count()
            .suppress(Suppressed.<String>untilTimeLimit(ms(10), Suppressed.BufferConfig.unbounded()).withName("calm")).toStream()
            .to("out", Produced.with(Serdes.String(), Serdes.Long())));
    }

    private static void processors() {
        ALL.put("process", b -> {
            b.addStateStore(Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore("seen"), Serdes.String(), Serdes.String()));
            in(b).process(Counting::new, "seen").to("out");
        });
        ALL.put("process_values", b -> in(b).processValues(Shouting::new).groupByKey().count().toStream()
            .to("out", Produced.with(Serdes.String(), Serdes.Long())));
        ALL.put("pattern", b -> b.<String, String>stream(Pattern.compile("in.*")).mapValues(v -> v + "!").to("out"));
        ALL.put("timestamp_extractor", b -> b.stream("in", Consumed.<String, String>with((record, partitionTime) ->
            record.value() == null ? -1 : partitionTime + 10 * ((String) record.value()).length())).to("out"));
        ALL.put("chosen_topic", b -> in(b).to((k, v, context) -> v != null && v.startsWith("a") ? "out" : "rest"));
        ALL.put("regrouped", b -> {
            final KStream<String, String> rekeyed = in(b).selectKey((k, v) -> v);
            rekeyed.groupByKey().count().toStream().to("counts", Produced.with(Serdes.String(), Serdes.Long()));
            rekeyed.mapValues(v -> v + "!").groupByKey().reduce(Topologies::both).toStream().to("out");
            rekeyed.filter((k, v) -> v != null && v.length() > 1).groupByKey(Grouped.as("long")).reduce(Topologies::both).toStream().to("rest");
        });
        ALL.put("punctuate", b -> in(b).process(Ticking::new).to("out"));
    }

    private static final class Counting extends ContextualProcessor<String, String, String, String> {
        private KeyValueStore<String, String> seen;

        @Override
        public void init(final ProcessorContext<String, String> context) {
            super.init(context);
            seen = context.getStateStore("seen");
        }

        @Override
        public void process(final Record<String, String> record) {
            final String before = seen.get(record.key());
            seen.put(record.key(), record.value());
            context().forward(record.withValue(before + ">" + record.value()));
        }
    }

    private static final class Shouting extends ContextualFixedKeyProcessor<String, String, String> {
        @Override
        public void process(final FixedKeyRecord<String, String> record) {
            context().forward(record.withValue(record.value().toUpperCase()));
        }
    }

    private static final class Marking implements ValueTransformerWithKey<String, String, String> {
        @Override
        public void init(final org.apache.kafka.streams.processor.ProcessorContext context) { }

        @Override
        public String transform(final String key, final String value) {
            return value == null ? null : key + "=" + value;
        }

        @Override
        public void close() { }
    }

    private static final class Ticking extends ContextualProcessor<String, String, String, String> {
        @Override
        public void init(final ProcessorContext<String, String> context) {
            super.init(context);
            context.schedule(ms(10), PunctuationType.STREAM_TIME, now -> context.forward(new Record<>("stream", "" + now, now)));
            context.schedule(ms(10), PunctuationType.WALL_CLOCK_TIME, now -> context.forward(new Record<>("wall", "" + now, now)));
        }

        @Override
        public void process(final Record<String, String> record) {
            context().forward(record);
        }
    }

    private static void cogrouped() {
        ALL.put("cogroup", b -> left(b).groupByKey().<String>cogroup((k, v, a) -> both(a, v))
            .cogroup(right(b).groupByKey(), (k, v, a) -> a + "-" + v).aggregate(() -> "0", store("together")).toStream().to("out"));
        ALL.put("cogroup_rekeyed", b -> left(b).groupBy((k, v) -> v).<String>cogroup((k, v, a) -> both(a, v))
            .cogroup(right(b).groupByKey(), (k, v, a) -> a + "-" + v)
            .aggregate(() -> "0", Materialized.with(Serdes.String(), Serdes.String())).toStream().to("out"));
        ALL.put("cogroup_windowed", b -> out(left(b).groupByKey().<String>cogroup((k, v, a) -> both(a, v))
            .cogroup(right(b).groupByKey(), (k, v, a) -> a + "-" + v)
            .windowedBy(TimeWindows.ofSizeWithNoGrace(ms(10))).aggregate(() -> "0", windows("together")), String.class));
        ALL.put("cogroup_named", b -> left(b).groupByKey().<String>cogroup((k, v, a) -> both(a, v))
            .cogroup(right(b).groupByKey(), (k, v, a) -> a + "-" + v).aggregate(() -> "0", Named.as("gather"), store("together")).toStream().to("out"));
        ALL.put("cogroup_sliding", b -> out(left(b).groupByKey().<String>cogroup((k, v, a) -> both(a, v))
            .cogroup(right(b).groupByKey(), (k, v, a) -> a + "-" + v)
            .windowedBy(SlidingWindows.ofTimeDifferenceAndGrace(ms(10), ms(50))).aggregate(() -> "0", windows("together")), String.class));
        ALL.put("cogroup_session", b -> out(left(b).groupByKey().<String>cogroup((k, v, a) -> both(a, v))
            .cogroup(right(b).groupByKey(), (k, v, a) -> a + "-" + v)
            .windowedBy(SessionWindows.ofInactivityGapWithNoGrace(ms(10)))
            .aggregate(() -> "0", (k, one, other) -> "(" + one + "|" + other + ")",
                Materialized.with(Serdes.String(), Serdes.String())), String.class));
    }
}
