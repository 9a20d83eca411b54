// What Kafka's own transforms, predicates, converters and Debezium's transforms make of our cases, as JSON.
//
// A case names a class, its settings and a record (see cases.py for how values are written down). What comes of it is
// the record, "dropped", or "failed" with where: in "configure" or in "apply".

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.File;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Date;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TimeZone;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.data.Decimal;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.data.Values;
import org.apache.kafka.connect.header.ConnectHeaders;
import org.apache.kafka.connect.header.Header;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.transforms.Transformation;
import org.apache.kafka.connect.transforms.predicates.Predicate;

@SuppressWarnings({"unchecked", "rawtypes"})
public final class Recorder {
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(final String[] arguments) throws Exception {
        TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
        final ObjectNode recorded = JSON.createObjectNode();
        for (final JsonNode each : JSON.readTree(new File(arguments[0]))) {
            recorded.set(each.get("name").asText(), run(each));
        }
        JSON.writeValue(new File(arguments[1]), recorded);
    }

    private static JsonNode run(final JsonNode each) throws Exception {
        final ObjectNode result = JSON.createObjectNode();
        String stage = "configure";
        try {
            if (each.has("text")) {
                stage = "apply";
                final SchemaAndValue parsed = Values.parseString(each.get("text").asText());
                result.set("parsed", typed(parsed == null ? null : parsed.schema(), parsed == null ? null : parsed.value()));
                return result;
            }
            final Map<String, String> settings = new HashMap<>();
            each.get("config").properties().forEach(entry -> settings.put(entry.getKey(), entry.getValue().asText()));
            final Object plugin = Class.forName(each.get("class").asText()).getDeclaredConstructor().newInstance();
            ConnectRecord record = record(each.get("record"));
            if (plugin instanceof Predicate predicate) {
                predicate.configure(settings);
                stage = "apply";
                result.put("is", predicate.test(record));
            } else {
                final Transformation transformation = (Transformation) plugin;
                transformation.configure(settings);
                stage = "apply";
                record = transformation.apply(record);
                if (record == null) {
                    result.put("dropped", true);
                } else {
                    result.set("record", written(record));
                }
            }
        } catch (final Exception error) {
            result.removeAll();
            result.put("failed", stage);
            result.put("error", error.getClass().getSimpleName() + ": " + error.getMessage());
        }
        return result;
    }

    private static ConnectRecord record(final JsonNode node) {
        final Schema keySchema = schema(node.get("key_schema"));
        final Schema valueSchema = schema(node.get("value_schema"));
        final Object key = value(keySchema, node.get("key"));
        final Object value = value(valueSchema, node.get("value"));
        final Integer partition = present(node.get("partition")) ? node.get("partition").intValue() : null;
        final Long timestamp = present(node.get("timestamp")) ? node.get("timestamp").longValue() : null;
        final ConnectHeaders headers = new ConnectHeaders();
        if (present(node.get("headers"))) {
            for (final JsonNode header : node.get("headers")) {
                final Schema schema = schema(header.get(1));
                headers.add(header.get(0).asText(), value(schema, header.get(2)), schema);
            }
        }
        if (present(node.get("offset"))) {
            return new SinkRecord(node.get("topic").asText(), partition == null ? 0 : partition, keySchema, key, valueSchema,
                value, node.get("offset").longValue(), timestamp, TimestampType.CREATE_TIME, headers);
        }
        return new SourceRecord(Map.of(), Map.of(), node.get("topic").asText(), partition, keySchema, key, valueSchema, value,
            timestamp, headers);
    }

    private static boolean present(final JsonNode node) {
        return node != null && !node.isNull();
    }

    private static Schema schema(final JsonNode node) {
        if (!present(node)) {
            return null;
        }
        final Schema.Type type = Schema.Type.valueOf(node.get("type").asText());
        final SchemaBuilder builder;
        if (type == Schema.Type.ARRAY) {
            builder = SchemaBuilder.array(schema(node.get("values")));
        } else if (type == Schema.Type.MAP) {
            builder = SchemaBuilder.map(schema(node.get("keys")), schema(node.get("values")));
        } else {
            builder = SchemaBuilder.type(type);
        }
        if (type == Schema.Type.STRUCT) {
            for (final JsonNode field : node.get("fields")) {
                builder.field(field.get(0).asText(), schema(field.get(1)));
            }
        }
        if (present(node.get("optional"))) {
            builder.optional();
        }
        if (present(node.get("name"))) {
            builder.name(node.get("name").asText());
        }
        if (present(node.get("version"))) {
            builder.version(node.get("version").intValue());
        }
        if (present(node.get("doc"))) {
            builder.doc(node.get("doc").asText());
        }
        if (present(node.get("parameters"))) {
            node.get("parameters").properties().forEach(entry -> builder.parameter(entry.getKey(), entry.getValue().asText()));
        }
        if (present(node.get("default"))) {
            builder.defaultValue(value(builder.build(), node.get("default")));
        }
        return builder.build();
    }

    private static Object value(final Schema schema, final JsonNode node) {
        if (!present(node)) {
            return null;
        }
        if (schema == null) {
            return plain(node);
        }
        if (schema.name() != null && schema.name().startsWith("org.apache.kafka.connect.data.")) {
            return schema.name().equals(Decimal.LOGICAL_NAME) ? new BigDecimal(node.asText()) : new Date(node.longValue());
        }
        switch (schema.type()) {
            case INT8: return (byte) node.intValue();
            case INT16: return (short) node.intValue();
            case INT32: return node.intValue();
            case INT64: return node.longValue();
            case FLOAT32: return Float.parseFloat(node.asText());
            case FLOAT64: return Double.parseDouble(node.asText());
            case BOOLEAN: return node.booleanValue();
            case STRING: return node.textValue();
            case BYTES: return Base64.getDecoder().decode(node.asText());
            case ARRAY: {
                final List<Object> list = new ArrayList<>();
                node.forEach(each -> list.add(value(schema.valueSchema(), each)));
                return list;
            }
            case MAP: {
                final Map<Object, Object> map = new LinkedHashMap<>();
                node.forEach(each -> map.put(value(schema.keySchema(), each.get(0)), value(schema.valueSchema(), each.get(1))));
                return map;
            }
            default: {
                final Struct struct = new Struct(schema);
                for (final Field field : schema.fields()) {
                    if (present(node.get(field.name()))) {
                        struct.put(field, value(field.schema(), node.get(field.name())));
                    }
                }
                return struct;
            }
        }
    }

    private static Object plain(final JsonNode node) {
        if (node.isNull()) {
            return null;
        } else if (node.isObject() && node.has("$bytes")) {
            return Base64.getDecoder().decode(node.get("$bytes").asText());
        } else if (node.isObject() && node.has("$timestamp")) {
            return new Date(node.get("$timestamp").longValue());
        } else if (node.isObject() && node.has("$decimal")) {
            return new BigDecimal(node.get("$decimal").asText());
        } else if (node.isObject()) {
            final Map<String, Object> map = new LinkedHashMap<>();
            node.properties().forEach(entry -> map.put(entry.getKey(), plain(entry.getValue())));
            return map;
        } else if (node.isArray()) {
            final List<Object> list = new ArrayList<>();
            node.forEach(each -> list.add(plain(each)));
            return list;
        } else if (node.isIntegralNumber()) {
            return node.longValue();
        } else if (node.isNumber()) {
            return node.doubleValue();
        }
        return node.isBoolean() ? (Object) node.booleanValue() : node.textValue();
    }

    private static ObjectNode written(final ConnectRecord<?> record) {
        final ObjectNode node = JSON.createObjectNode();
        node.put("topic", record.topic());
        node.put("partition", record.kafkaPartition());
        node.put("timestamp", record.timestamp());
        node.set("key", typed(record.keySchema(), record.key()));
        node.set("value", typed(record.valueSchema(), record.value()));
        final ArrayNode headers = node.putArray("headers");
        for (final Header header : record.headers()) {
            headers.addArray().add(header.key()).add(typed(header.schema(), header.value()));
        }
        return node;
    }

    private static JsonNode typed(final Schema schema, final Object value) {
        return JSON.createArrayNode().add(written(schema)).add(written(value));
    }

    private static JsonNode written(final Schema schema) {
        if (schema == null) {
            return JSON.nullNode();
        }
        final ObjectNode node = JSON.createObjectNode();
        node.put("type", schema.type().name());
        if (schema.type() == Schema.Type.MAP) {
            node.set("keys", written(schema.keySchema()));
        }
        if (schema.type() == Schema.Type.MAP || schema.type() == Schema.Type.ARRAY) {
            node.set("values", written(schema.valueSchema()));
        }
        if (schema.type() == Schema.Type.STRUCT) {
            final ArrayNode fields = node.putArray("fields");
            schema.fields().forEach(field -> fields.addArray().add(field.name()).add(written(field.schema())));
        }
        if (schema.isOptional()) {
            node.put("optional", true);
        }
        if (schema.name() != null) {
            node.put("name", schema.name());
        }
        if (schema.version() != null) {
            node.put("version", schema.version());
        }
        if (schema.doc() != null) {
            node.put("doc", schema.doc());
        }
        if (schema.parameters() != null && !schema.parameters().isEmpty()) {
            node.set("parameters", JSON.valueToTree(schema.parameters()));
        }
        if (schema.defaultValue() != null) {
            node.set("default", written(schema.defaultValue()));
        }
        return node;
    }

    private static JsonNode written(final Object value) {
        if (value == null) {
            return JSON.nullNode();
        } else if (value instanceof Struct struct) {
            final ObjectNode node = JSON.createObjectNode();
            struct.schema().fields().forEach(field -> node.set(field.name(), written(struct.get(field))));
            return node;
        } else if (value instanceof Map<?, ?> map) {
            final ObjectNode node = JSON.createObjectNode();
            map.forEach((key, each) -> node.set(String.valueOf(key), written(each)));
            return node;
        } else if (value instanceof List<?> list) {
            final ArrayNode node = JSON.createArrayNode();
            list.forEach(each -> node.add(written(each)));
            return node;
        } else if (value instanceof byte[] bytes) {
            return JSON.createObjectNode().put("$bytes", Base64.getEncoder().encodeToString(bytes));
        } else if (value instanceof java.nio.ByteBuffer buffer) {
            return JSON.createObjectNode().put("$bytes", Base64.getEncoder().encodeToString(buffer.array()));
        } else if (value instanceof Date date) {
            return JSON.createObjectNode().put("$ms", date.getTime());
        } else if (value instanceof BigDecimal decimal) {
            return JSON.createObjectNode().put("$decimal", decimal.toString());
        } else if (value instanceof Float || value instanceof Double) {
            return JSON.createObjectNode().put("$float", value.toString());
        }
        return JSON.valueToTree(value);
    }
}
