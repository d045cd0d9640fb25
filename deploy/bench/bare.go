package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/redis/go-redis/v9"
	"github.com/valyala/fasthttp"
)

// serveUpstream answers every request at once with the same completion.
func serveUpstream(ctx context.Context, addr string) error {
	answer := []byte(`{"id":"chatcmpl-bench","object":"chat.completion","created":1,"model":"bench",` +
		`"choices":[{"index":0,"message":{"role":"assistant","content":"Hello! How can I help you today?"},` +
		`"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":9,"total_tokens":18}}`)
	server := &fasthttp.Server{NoDefaultServerHeader: true, Handler: func(c *fasthttp.RequestCtx) {
		c.SetContentType("application/json")
		c.SetBody(answer)
	}}
	go func() {
		<-ctx.Done()
		_ = server.Shutdown()
	}()
	return server.ListenAndServe(addr)
}

// serveBare is the baseline: the least that an answer with one or two Redis calls
// and an upstream can cost on this stack.
func serveBare(ctx context.Context, addr, redisAddr, model string) error {
	client := redis.NewClient(&redis.Options{Addr: redisAddr, MaxRetries: -1, ContextTimeoutEnabled: true})
	defer func() { _ = client.Close() }()
	pipe, err := client.AutoPipeline()
	if err != nil {
		return fmt.Errorf("autopipeline: %w", err)
	}
	script := redis.NewScript(`return redis.call('INCR', KEYS[1])`)
	if err := script.Load(ctx, client).Err(); err != nil {
		return fmt.Errorf("load script: %w", err)
	}
	upstream := &fasthttp.Client{MaxConnsPerHost: 1024, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}

	app := fiber.New(fiber.Config{DisableStartupMessage: true, BodyLimit: 4 << 20})
	app.Post("/one", func(c *fiber.Ctx) error {
		if err := script.EvalSha(context.Background(), pipe, []string{"bare:{s00}"}).Err(); err != nil {
			return err
		}
		return c.SendStatus(fiber.StatusOK)
	})
	app.Post("/two", func(c *fiber.Ctx) error {
		if err := script.EvalSha(context.Background(), pipe, []string{"bare:{s00}"}).Err(); err != nil {
			return err
		}
		request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
		defer fasthttp.ReleaseRequest(request)
		defer fasthttp.ReleaseResponse(response)
		request.SetRequestURI(model)
		request.Header.SetMethod(fasthttp.MethodPost)
		request.Header.SetContentType(fiber.MIMEApplicationJSON)
		request.SetBodyRaw(c.Body())
		if err := upstream.Do(request, response); err != nil {
			return err
		}
		if err := script.EvalSha(context.Background(), pipe, []string{"bare:{s00}"}).Err(); err != nil {
			return err
		}
		c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
		return c.Send(response.Body())
	})
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	go func() {
		<-ctx.Done()
		_ = app.ShutdownWithTimeout(time.Second)
	}()
	return app.Listener(listener)
}
