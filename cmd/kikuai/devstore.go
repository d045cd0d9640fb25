package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
)

const devTick = 100 * time.Millisecond

// conversations begin the keys that make up a conversation: its turns, what is kept beside
// them, and what was chosen for its topic.
var conversations = [...]string{"talk:", "gist:", "choice:"}

// conversationFile is what is kept between two runs, by key.
type conversationFile struct {
	Lists  map[string][]string          `json:"lists"`
	Hashes map[string]map[string]string `json:"hashes"`
}

// devStore is the embedded Redis of kikuai dev. It lives in memory: money is rebuilt
// from Postgres at the next start, and conversations are kept in a file.
type devStore struct {
	server *miniredis.Miniredis
	file   string
	stop   chan struct{}
	ticker sync.WaitGroup
}

func startDevStore(file string) (*devStore, error) {
	s := &devStore{server: miniredis.NewMiniRedis(), file: file, stop: make(chan struct{})}
	if err := s.load(); err != nil {
		return nil, err
	}
	if err := s.server.Start(); err != nil {
		return nil, err
	}
	s.ticker.Go(s.tick)
	return s, nil
}

func (s *devStore) addr() string { return s.server.Addr() }

// tick moves time on: the embedded Redis expires keys only when it is told to.
func (s *devStore) tick() {
	ticker := time.NewTicker(devTick)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-s.stop:
			return
		case now := <-ticker.C:
			s.server.FastForward(now.Sub(last))
			last = now
		}
	}
}

func (s *devStore) load() error {
	raw, err := os.ReadFile(s.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var kept conversationFile
	if err := json.Unmarshal(raw, &kept); err != nil {
		return fmt.Errorf("%s is damaged (%w): remove it to start with empty conversations", s.file, err)
	}
	for key, turns := range kept.Lists {
		if _, err := s.server.Push(key, turns...); err != nil {
			return err
		}
	}
	for key, fields := range kept.Hashes {
		for field, value := range fields {
			s.server.HSet(key, field, value)
		}
	}
	return nil
}

func (s *devStore) save() error {
	kept := conversationFile{Lists: map[string][]string{}, Hashes: map[string]map[string]string{}}
	for _, key := range s.server.Keys() {
		if !slices.ContainsFunc(conversations[:], func(prefix string) bool { return strings.HasPrefix(key, prefix) }) {
			continue
		}
		switch s.server.Type(key) {
		case "list":
			turns, err := s.server.List(key)
			if err != nil {
				return err
			}
			kept.Lists[key] = turns
		case "hash":
			fields, err := s.server.HKeys(key)
			if err != nil {
				return err
			}
			kept.Hashes[key] = make(map[string]string, len(fields))
			for _, field := range fields {
				kept.Hashes[key][field] = s.server.HGet(key, field)
			}
		}
	}
	raw, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	next := s.file + ".new"
	if err := os.WriteFile(next, raw, 0o600); err != nil {
		return err
	}
	return os.Rename(next, s.file)
}

func (s *devStore) close() error {
	close(s.stop)
	s.ticker.Wait()
	err := s.save()
	s.server.Close()
	return err
}
