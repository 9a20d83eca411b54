// The guide's five transforms and JSON over records of a source, in Kafka's own classes: what one record costs.
// Arguments: records, rounds. Prints records and nanoseconds of this thread's processor for the best round.

import java.lang.management.ManagementFactory;
import java.util.Date;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.data.Timestamp;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.transforms.Flatten;
import org.apache.kafka.connect.transforms.InsertField;
import org.apache.kafka.connect.transforms.MaskField;
import org.apache.kafka.connect.transforms.TimestampConverter;
import org.apache.kafka.connect.transforms.Transformation;
import org.apache.kafka.connect.transforms.ValueToKey;

public class Chain {
    static final Schema CUSTOMER = SchemaBuilder.struct()
            .field("id", Schema.INT64_SCHEMA).field("city", Schema.STRING_SCHEMA).build();
    static final Schema ORDER = SchemaBuilder.struct().name("order")
            .field("id", Schema.INT64_SCHEMA).field("region", Schema.STRING_SCHEMA).field("customer", CUSTOMER)
            .field("email", Schema.STRING_SCHEMA).field("ssn", Schema.STRING_SCHEMA)
            .field("amount", Schema.FLOAT64_SCHEMA).field("created_at", Timestamp.SCHEMA).build();

    static SourceRecord order(long number) {
        Struct customer = new Struct(CUSTOMER).put("id", number).put("city", "Praha");
        Struct value = new Struct(ORDER).put("id", number).put("region", "eu").put("customer", customer)
                .put("email", "a@example.org").put("ssn", "123-45").put("amount", 9.5)
                .put("created_at", new Date(1714979289007L));
        return new SourceRecord(Map.of(), Map.of(), "orders", ORDER, value);
    }

    static Transformation<SourceRecord> configured(Transformation<SourceRecord> step, Map<String, String> settings) {
        step.configure(new HashMap<>(settings));
        return step;
    }

    public static void main(String[] arguments) {
        int records = Integer.parseInt(arguments[0]);
        int rounds = Integer.parseInt(arguments[1]);
        List<Transformation<SourceRecord>> chain = List.of(
                configured(new ValueToKey<>(), Map.of("fields", "region")),
                configured(new Flatten.Value<>(), Map.of("delimiter", "_")),
                configured(new MaskField.Value<>(), Map.of("fields", "ssn,credit_card,email", "replacement", "[REDACTED]")),
                configured(new InsertField.Value<>(), Map.of("static.field", "_source", "static.value", "postgres-prod")),
                configured(new TimestampConverter.Value<>(), Map.of("field", "created_at", "target.type", "unix")));
        JsonConverter key = new JsonConverter();
        JsonConverter value = new JsonConverter();
        key.configure(Map.of(), true);
        value.configure(Map.of(), false);
        SourceRecord[] inputs = new SourceRecord[records];
        for (int number = 0; number < records; number++) {
            inputs[number] = order(number);
        }
        long least = Long.MAX_VALUE;
        long written = 0;
        var clock = ManagementFactory.getThreadMXBean();
        for (int round = 0; round < rounds; round++) {
            long begun = clock.getCurrentThreadCpuTime();
            for (SourceRecord input : inputs) {
                SourceRecord record = input;
                for (Transformation<SourceRecord> step : chain) {
                    record = step.apply(record);
                }
                written += key.fromConnectData(record.topic(), record.keySchema(), record.key()).length;
                written += value.fromConnectData(record.topic(), record.valueSchema(), record.value()).length;
            }
            least = Math.min(least, clock.getCurrentThreadCpuTime() - begun);
        }
        if (written == 0) {
            throw new IllegalStateException("nothing was written");
        }
        System.out.println(records + " " + least);
    }
}
