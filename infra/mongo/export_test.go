package mongo

// DatabaseOf and Refuse have no outside; tests name them.
var (
	DatabaseOf = databaseOf
	Refuse     = refuse
)
