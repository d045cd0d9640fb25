package mutations

import "slices"

// table is what is broken, and by which test that is seen: lists by what it is about.
var table = slices.Concat(
	billingBugs,
	billingOwnersBugs,
	gatewayBugs,
	gatewayOwnersBugs,
	handlersBugs,
	groupBugs,
	botBugs,
	loadtestBugs,
	rateLimitBugs,
	cacheBugs,
	webappBugs,
	nginxBugs,
	internalBugs,
	protocolBugs,
	requestBugs,
	deployBugs,
	scaleBugs,
	doctorBugs,
	watchBugs,
)
