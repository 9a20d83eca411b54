package main

import (
	"context"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// member is a group member that polls in the background.
type member struct {
	client     *kgo.Client
	stop       context.CancelFunc
	done       chan struct{}
	lock       sync.Mutex
	partitions map[int32]bool
	rebalances int
	records    int
}

func (p *program) join(r *request) error {
	m := &member{done: make(chan struct{}), partitions: map[int32]bool{}}
	options := []kgo.Opt{
		kgo.SeedBrokers(p.bootstrap), kgo.ConsumerGroup(r.Group), kgo.ConsumeTopics(r.Topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.SessionTimeout(10e9), kgo.HeartbeatInterval(5e8),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, assigned map[string][]int32) {
			m.lock.Lock()
			defer m.lock.Unlock()
			m.rebalances++
			for _, partition := range assigned[r.Topic] {
				m.partitions[partition] = true
			}
		}),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, revoked map[string][]int32) { m.lose(revoked[r.Topic]) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, lost map[string][]int32) { m.lose(lost[r.Topic]) }),
	}
	if r.InstanceID != nil {
		options = append(options, kgo.InstanceID(*r.InstanceID))
	}
	if r.Protocol == "consumer" {
		// The client asks for this word before it speaks KIP-848; without a balancer of its own the coordinator assigns.
		options = append(options, kgo.WithContext(context.WithValue(context.Background(), "opt_in_kafka_next_gen_balancer_beta", true)))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	m.client, m.stop = client, stop
	go m.run(ctx)
	p.members[r.Member] = m
	return nil
}

func (m *member) lose(partitions []int32) {
	m.lock.Lock()
	defer m.lock.Unlock()
	for _, partition := range partitions {
		delete(m.partitions, partition)
	}
}

func (m *member) run(ctx context.Context) {
	defer close(m.done)
	for ctx.Err() == nil {
		count := m.client.PollFetches(ctx).NumRecords()
		m.lock.Lock()
		m.records += count
		m.lock.Unlock()
	}
}

func (m *member) state() any {
	m.lock.Lock()
	defer m.lock.Unlock()
	partitions := []int32{}
	for partition := range m.partitions {
		partitions = append(partitions, partition)
	}
	return map[string]any{"partitions": partitions, "rebalances": m.rebalances, "records": m.records}
}

// leave closes the client, which leaves the group unless the member is static.
func (m *member) leave() {
	m.stop()
	<-m.done
	m.client.Close()
}
