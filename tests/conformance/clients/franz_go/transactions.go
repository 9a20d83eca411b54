package main

import (
	"bytes"
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

func (p *program) openTransaction(ctx context.Context, r *request) error {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(p.bootstrap), kgo.TransactionalID(r.TransactionalID),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
	)
	if err != nil {
		return err
	}
	p.transactions[r.Member] = client
	if err := client.BeginTransaction(); err != nil {
		return err
	}
	for _, value := range r.Values {
		record := &kgo.Record{Topic: r.Topic, Value: []byte(value)}
		if err := client.ProduceSync(ctx, record).FirstErr(); err != nil {
			return err
		}
	}
	return nil
}

func (p *program) endTransaction(ctx context.Context, r *request) error {
	client := p.transactions[r.Member]
	delete(p.transactions, r.Member)
	defer client.Close()
	return client.EndTransaction(ctx, kgo.TransactionEndTry(r.Commit))
}

// transform is one round of a GroupTransactSession, the way in which franz-go consumes, transforms and produces.
func (p *program) transform(ctx context.Context, r *request) error {
	session, err := kgo.NewGroupTransactSession(
		kgo.SeedBrokers(p.bootstrap), kgo.TransactionalID(r.TransactionalID), kgo.ConsumerGroup(r.Group),
		kgo.ConsumeTopics(r.Topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	)
	if err != nil {
		return err
	}
	defer session.Close()
	if err := session.Begin(); err != nil {
		return err
	}
	done := 0
	for done < r.Count {
		fetches := session.PollRecords(ctx, r.Count-done)
		if err := fetches.Err(); err != nil {
			return err
		}
		for _, record := range fetches.Records() {
			made := &kgo.Record{Topic: r.Target, Value: bytes.ToUpper(record.Value)}
			if err := session.ProduceSync(ctx, made).FirstErr(); err != nil {
				return err
			}
			done++
		}
	}
	committed, err := session.End(ctx, kgo.TransactionEndTry(r.Commit))
	if err == nil && committed != r.Commit {
		return fmt.Errorf("committed is %v", committed)
	}
	return err
}
