package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
)

func (p *program) administer(ctx context.Context, r *request) (any, error) {
	switch r.Verb {
	case "create_topic":
		configs := map[string]*string{}
		for key, value := range r.Configs {
			configs[key] = &value
		}
		var partitions int32
		if err := json.Unmarshal(r.Partitions, &partitions); err != nil {
			return nil, err
		}
		_, err := p.admin.CreateTopic(ctx, partitions, 1, configs, r.Topic)
		return nil, err
	case "partition_count":
		return p.partitionCount(ctx, r.Topic)
	case "topic_config":
		return p.topicConfig(ctx, r.Topic)
	case "set_topic_config":
		change := kadm.AlterConfig{Op: kadm.SetConfig, Name: r.Key, Value: &r.Value}
		answers, err := p.admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{change}, r.Topic)
		if err != nil {
			return nil, err
		}
		return nil, answers[0].Err
	case "grow_topic":
		var total int
		if err := json.Unmarshal(r.Partitions, &total); err != nil {
			return nil, err
		}
		answers, err := p.admin.UpdatePartitions(ctx, total, r.Topic)
		if err != nil {
			return nil, err
		}
		return nil, answers.Error()
	case "delete_topic":
		answers, err := p.admin.DeleteTopics(ctx, r.Topic)
		if err != nil {
			return nil, err
		}
		return nil, answers.Error()
	case "groups":
		listed, err := p.admin.ListGroups(ctx)
		return listed.Groups(), err
	case "delete_group":
		answers, err := p.admin.DeleteGroups(ctx, r.Group)
		if err != nil {
			return nil, err
		}
		return nil, answers.Error()
	case "committed":
		return p.committed(ctx, r)
	}
	return nil, fmt.Errorf("unknown verb %q", r.Verb)
}

func (p *program) partitionCount(ctx context.Context, topic string) (any, error) {
	details, err := p.admin.ListTopics(ctx, topic)
	if err != nil {
		return nil, err
	}
	return len(details[topic].Partitions), details[topic].Err
}

func (p *program) topicConfig(ctx context.Context, topic string) (any, error) {
	described, err := p.admin.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, config := range described[0].Configs {
		found[config.Key] = config.MaybeValue()
	}
	return found, described[0].Err
}

func (p *program) committed(ctx context.Context, r *request) (any, error) {
	offsets, err := p.admin.FetchOffsets(ctx, r.Group)
	if err != nil {
		return nil, err
	}
	found := map[string]int64{}
	for partition, offset := range offsets[r.Topic] {
		if offset.At >= 0 {
			found[fmt.Sprint(partition)] = offset.At
		}
	}
	return found, nil
}

func (p *program) offsetOf(ctx context.Context, topic string, partition int32, at json.RawMessage) (any, error) {
	var timestampMs int64
	var listed kadm.ListedOffsets
	var err error
	byTime := json.Unmarshal(at, &timestampMs) == nil
	switch {
	case byTime:
		listed, err = p.admin.ListOffsetsAfterMilli(ctx, timestampMs, topic)
	case string(at) == `"earliest"`:
		listed, err = p.admin.ListStartOffsets(ctx, topic)
	default:
		listed, err = p.admin.ListEndOffsets(ctx, topic)
	}
	if err != nil {
		return nil, err
	}
	found, _ := listed.Lookup(topic, partition)
	// kadm answers the end of the partition, without a timestamp, where no record is that young.
	if found.Err == nil && byTime && found.Timestamp == -1 {
		return nil, nil
	}
	return found.Offset, found.Err
}
