package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/kikuai/kikuai/internal/testenv/child"
	"github.com/kikuai/kikuai/internal/testenv/program"
)

// bifrostKey is the virtual key of the other gateway.
const bifrostKey = "sk-bf-bench"

// bifrostBody is the same request, with the model as that gateway names it.
var bifrostBody = []byte(strings.Replace(chatBody, `"`+model+`"`, `"openai/`+model+`"`, 1))

// measureGateways compares kikuai with another gateway, Bifrost, and both with the bare
// handler, in one run and in turn, with the same client and the same upstream. Bifrost keeps
// its limits and budgets in its memory, and writes no log of requests here.
func measureGateways(ctx context.Context, rounds int, length time.Duration, connections int) (string, error) {
	s, err := build(ctx, "")
	if err != nil {
		return "", err
	}
	defer s.close()
	dir, err := os.MkdirTemp("", "kikuai-bifrost-")
	if err != nil {
		return "", err
	}
	s.closers = append(s.closers, func() error { return os.RemoveAll(dir) })
	binary := filepath.Join(dir, "bifrost")
	fmt.Fprintln(os.Stderr, "bench: building Bifrost, which takes minutes the first time")
	made := exec.CommandContext(ctx, "go", "build", "-C", "deploy/bench/bifrost", "-o", binary, ".")
	if said, err := made.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build Bifrost: %w\n%s", err, said)
	}
	pair := s.pairs()[0]
	sides := []side{
		{name: "bare", load: pair.bare, parties: s.theirs()},
		{name: "kikuai: limits, hold and settlement in Redis, books in Postgres", load: pair.kikuai, parties: s.ours()},
	}
	for _, governed := range []bool{true, false} {
		name, bearers := "Bifrost 1.6.0: no keys, no limits, no budgets", []string(nil)
		if governed {
			name, bearers = "Bifrost 1.6.0: key, limits and budget in memory", []string{bifrostKey}
		}
		url, pid, err := s.startBifrost(ctx, binary, filepath.Join(dir, fmt.Sprintf("governed-%t", governed)), governed)
		if err != nil {
			return "", err
		}
		sides = append(sides, side{
			name:    name,
			parties: parties{nameClient: {PID: os.Getpid()}, nameHandler: {PID: pid}, nameUpstream: {PID: s.upstreamPID}},
			load: load{
				name: name, url: url + "/v1/chat/completions", bearers: bearers,
				body: func(int, int) []byte { return bifrostBody },
			},
		})
	}
	if err := inTurn(ctx, sides, rounds, length, connections); err != nil {
		return "", err
	}
	return sidesHead() + sideRows(pair.row.work, sides) + sidesFoot(rounds, length, connections), nil
}

// startBifrost starts that gateway with the upstream as its only provider; governed: with a
// virtual key that has limits and a budget, which nothing here uses up.
func (s *site) startBifrost(ctx context.Context, binary, dir string, governed bool) (url string, pid int, err error) {
	type object = map[string]any
	file := func(name string) string { return "file://" + filepath.Join(dir, name) }
	governance := object{}
	if governed {
		governance = object{
			"virtual_keys": []object{{
				"id": "key", "name": "bench", "value": bifrostKey, "is_active": true, "rate_limit_id": "limit",
				"provider_configs": []object{{"provider": "openai", "allowed_models": []string{"*"}, "key_ids": []string{"*"}}},
			}},
			"rate_limits": []object{{
				"id": "limit", "request_max_limit": 1_000_000_000, "request_reset_duration": "1h",
				"token_max_limit": 1_000_000_000_000, "token_reset_duration": "1h",
			}},
			"budgets": []object{{"id": "budget", "max_limit": 1_000_000, "reset_duration": "1M", "virtual_key_id": "key"}},
		}
	}
	files := map[string]any{
		"config.json": object{
			"client":       object{"enable_logging": false, "enforce_auth_on_inference": governed, "initial_pool_size": 5000},
			"config_store": object{"enabled": true, "type": "sqlite", "config": object{"path": filepath.Join(dir, "config.db")}},
			"logs_store":   object{"enabled": false},
			"framework": object{"pricing": object{
				"pricing_url": file("prices.json"), "model_parameters_url": file("parameters.json"), "mcp_library_url": file("parameters.json"),
			}},
			"providers": object{"openai": object{
				"keys":                        []object{{"name": "bench", "value": "none", "weight": 1, "models": []string{"*"}}},
				"network_config":              object{"base_url": s.upstream, "allow_private_network": true, "max_conns_per_host": 1024},
				"concurrency_and_buffer_size": object{"concurrency": 256, "buffer_size": 5000},
			}},
			"governance": governance,
		},
		"prices.json": object{model: object{
			"provider": "openai", "mode": "chat", "base_model": model, "input_cost_per_token": 0.15e-6, "output_cost_per_token": 0.60e-6,
		}},
		"parameters.json": object{},
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", 0, err
	}
	for name, content := range files {
		text, err := json.Marshal(content)
		if err != nil {
			return "", 0, err
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return "", 0, err
		}
	}
	addr, err := child.FreeAddress()
	if err != nil {
		return "", 0, err
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	url = "http://" + addr
	command := exec.Command(binary, "-host", host, "-port", port, "-app-dir", dir)
	command.Env = append(os.Environ(), "GOGC=400") // as kikuai has it
	process, err := program.Start(ctx, command, http.MethodGet, url+"/health")
	if err != nil {
		return "", 0, fmt.Errorf("start Bifrost: %w", err)
	}
	s.closers = append(s.closers, func() error { return process.Stop(syscall.SIGTERM, program.StopIn) })
	return url, process.PID(), nil
}
