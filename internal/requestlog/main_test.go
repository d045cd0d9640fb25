package requestlog

import (
	"testing"

	"github.com/kikuai/kikuai/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }
