// franz-go behind the verbs of tests/conformance/clients: one JSON request per line in, one answer per line out.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

type row struct {
	Value       *string     `json:"value"`
	Key         *string     `json:"key"`
	Headers     [][2]string `json:"headers"`
	Partition   *int32      `json:"partition"`
	TimestampMs *int64      `json:"timestamp_ms"`
	Offset      *int64      `json:"offset,omitempty"`
}

// request holds the arguments of every verb; a verb reads the ones it has.
type request struct {
	Verb        string            `json:"verb"`
	Topic       string            `json:"topic"`
	Records     []row             `json:"records"`
	Compression string            `json:"compression"`
	Partitions  json.RawMessage   `json:"partitions"`
	Partition   int32             `json:"partition"`
	Start       json.RawMessage   `json:"start"`
	At          json.RawMessage   `json:"at"`
	Count       int               `json:"count"`
	TimeoutMs   int64             `json:"timeout_ms"`
	Member      string            `json:"member"`
	Group       string            `json:"group"`
	InstanceID  *string           `json:"instance_id"`
	Protocol    string            `json:"protocol"`
	Configs     map[string]string `json:"configs"`
	Key         string            `json:"key"`
	Value       string            `json:"value"`

	TransactionalID string   `json:"transactional_id"`
	Values          []string `json:"values"`
	Target          string   `json:"target"`
	Commit          bool     `json:"commit"`
}

type program struct {
	bootstrap string
	client    *kgo.Client
	admin     *kadm.Client
	members   map[string]*member
	// Transactions that are open, by the name that the test gave them.
	transactions map[string]*kgo.Client
}

func main() {
	client, err := kgo.NewClient(kgo.SeedBrokers(os.Args[1]), kgo.MetadataMinAge(100*time.Millisecond))
	if err != nil {
		panic(err)
	}
	p := &program{os.Args[1], client, kadm.NewClient(client), map[string]*member{}, map[string]*kgo.Client{}}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var r request
		answer := map[string]any{}
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			panic(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Second)
		result, err := p.carryOut(ctx, &r)
		cancel()
		if err != nil {
			answer["error"], answer["message"] = codeOf(err), err.Error()
		} else {
			answer["result"] = result
		}
		out, err := json.Marshal(answer)
		if err != nil {
			panic(err)
		}
		fmt.Println(string(out))
	}
	for _, m := range p.members {
		m.leave()
	}
	client.Close()
}

func codeOf(err error) string {
	var fromBroker *kerr.Error
	if errors.As(err, &fromBroker) {
		return fromBroker.Message
	}
	return "CLIENT"
}

func (p *program) carryOut(ctx context.Context, r *request) (any, error) {
	switch r.Verb {
	case "produce":
		return p.produce(ctx, r)
	case "consume":
		return p.consume(ctx, r)
	case "offset_of":
		return p.offsetOf(ctx, r.Topic, r.Partition, r.At)
	case "join":
		return nil, p.join(r)
	case "state":
		return p.members[r.Member].state(), nil
	case "commit":
		return nil, p.members[r.Member].client.CommitUncommittedOffsets(ctx)
	case "leave":
		if m, found := p.members[r.Member]; found {
			m.leave()
			delete(p.members, r.Member)
		}
		return nil, nil
	case "open_transaction":
		return nil, p.openTransaction(ctx, r)
	case "end_transaction":
		return nil, p.endTransaction(ctx, r)
	case "transform":
		return nil, p.transform(ctx, r)
	default:
		return p.administer(ctx, r)
	}
}

func (p *program) produce(ctx context.Context, r *request) (any, error) {
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	// Records without a partition go by key; the others where the test wants them.
	partitioner := kgo.StickyKeyPartitioner(nil)
	if len(r.Records) > 0 && r.Records[0].Partition != nil {
		partitioner = kgo.ManualPartitioner()
	}
	producer, err := kgo.NewClient(
		kgo.SeedBrokers(p.bootstrap), kgo.ProducerBatchCompression(codecs[r.Compression]),
		kgo.RecordPartitioner(partitioner), kgo.RecordRetries(3),
	)
	if err != nil {
		return nil, err
	}
	defer producer.Close()
	records := make([]*kgo.Record, 0, len(r.Records))
	for _, from := range r.Records {
		record := &kgo.Record{Topic: r.Topic}
		if from.Value != nil {
			record.Value = []byte(*from.Value)
		}
		if from.Key != nil {
			record.Key = []byte(*from.Key)
		}
		for _, header := range from.Headers {
			record.Headers = append(record.Headers, kgo.RecordHeader{Key: header[0], Value: []byte(header[1])})
		}
		if from.Partition != nil {
			record.Partition = *from.Partition
		}
		if from.TimestampMs != nil {
			record.Timestamp = time.UnixMilli(*from.TimestampMs)
		}
		records = append(records, record)
	}
	if err := producer.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return nil, err
	}
	placed := make([][2]int64, 0, len(records))
	for _, record := range records {
		placed = append(placed, [2]int64{int64(record.Partition), record.Offset})
	}
	return placed, nil
}

func startOffset(start json.RawMessage) kgo.Offset {
	var timestampMs int64
	if json.Unmarshal(start, &timestampMs) == nil {
		return kgo.NewOffset().AfterMilli(timestampMs)
	}
	if string(start) == `"earliest"` {
		return kgo.NewOffset().AtStart()
	}
	return kgo.NewOffset().AtEnd()
}

func (p *program) consume(ctx context.Context, r *request) (any, error) {
	var partitions []int32
	if err := json.Unmarshal(r.Partitions, &partitions); err != nil {
		return nil, err
	}
	wanted := map[int32]kgo.Offset{}
	for _, partition := range partitions {
		wanted[partition] = startOffset(r.Start)
	}
	consumer, err := kgo.NewClient(
		kgo.SeedBrokers(p.bootstrap), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{r.Topic: wanted}),
	)
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Duration(r.TimeoutMs)*time.Millisecond)
	defer cancel()
	found := []row{}
	for len(found) < r.Count && ctx.Err() == nil {
		fetches := consumer.PollFetches(ctx)
		for _, problem := range fetches.Errors() {
			if ctx.Err() == nil {
				return nil, problem.Err
			}
		}
		fetches.EachRecord(func(record *kgo.Record) { found = append(found, rowOf(record)) })
	}
	return found, nil
}

func rowOf(record *kgo.Record) row {
	text := func(bytes []byte) *string {
		if bytes == nil {
			return nil
		}
		s := string(bytes)
		return &s
	}
	timestampMs := record.Timestamp.UnixMilli()
	found := row{text(record.Value), text(record.Key), [][2]string{}, &record.Partition, &timestampMs, &record.Offset}
	for _, header := range record.Headers {
		found.Headers = append(found.Headers, [2]string{header.Key, string(header.Value)})
	}
	return found
}
