import com.fasterxml.jackson.databind.ObjectMapper;
import io.debezium.embedded.Connect;
import io.debezium.engine.DebeziumEngine;
import io.debezium.engine.RecordChangeEvent;
import io.debezium.engine.format.ChangeEventFormat;
import java.io.FileReader;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.source.SourceRecord;

/** Runs Debezium with the settings of a file and prints every record as a line of JSON, until its input ends. */
public class Recorder {
    public static void main(String[] args) throws Exception {
        PrintStream out = System.out;
        Properties settings = new Properties();
        settings.load(new FileReader(args[0]));
        ObjectMapper json = new ObjectMapper();
        JsonConverter keys = new JsonConverter();
        keys.configure(Map.of("schemas.enable", "true"), true);
        JsonConverter values = new JsonConverter();
        values.configure(Map.of("schemas.enable", "true"), false);
        DebeziumEngine<RecordChangeEvent<SourceRecord>> engine = DebeziumEngine.create(ChangeEventFormat.of(Connect.class))
                .using(settings)
                .using((success, message, error) -> {
                    System.err.println("ended: " + success + " " + message);
                    if (error != null) {
                        error.printStackTrace();
                    }
                })
                .notifying(event -> {
                    try {
                        SourceRecord record = event.record();
                        Map<String, Object> line = new TreeMap<>();
                        line.put("topic", record.topic());
                        line.put("partition", record.kafkaPartition());
                        line.put("source_partition", record.sourcePartition());
                        line.put("source_offset", record.sourceOffset());
                        line.put("timestamp", record.timestamp());
                        line.put("key", read(json, keys.fromConnectData(record.topic(), record.keySchema(), record.key())));
                        line.put("value", read(json, values.fromConnectData(record.topic(), record.valueSchema(), record.value())));
                        List<Object> headers = new ArrayList<>();
                        record.headers().forEach(header -> headers.add(List.of(header.key(),
                                read(json, values.fromConnectHeader(record.topic(), header.key(), header.schema(), header.value())))));
                        line.put("headers", headers);
                        out.println(json.writeValueAsString(line));
                        out.flush();
                    } catch (Exception e) {
                        throw new RuntimeException(e);
                    }
                })
                .build();
        Thread thread = new Thread(engine);
        thread.start();
        while (System.in.read() >= 0) {
            continue;
        }
        engine.close();
        thread.join();
    }

    private static Object read(ObjectMapper json, byte[] bytes) {
        try {
            return bytes == null ? "null" : json.readTree(bytes);
        } catch (Exception e) {
            throw new RuntimeException(e);
        }
    }
}
