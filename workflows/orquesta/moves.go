package orquesta

import "github.com/hayate-run/hayate"

// moves says for an event which status follows on which. Where it is silent the
// status stays.
type moves map[string]map[hayate.Status]hayate.Status

// The statuses under the names that the tables use. "" is the status before the
// first event.
const (
	requested = hayate.StatusRequested
	scheduled = hayate.StatusScheduled
	delayed   = hayate.StatusDelayed
	running   = hayate.StatusRunning
	pending   = hayate.StatusPending
	pausing   = hayate.StatusPausing
	paused    = hayate.StatusPaused
	resuming  = hayate.StatusResuming
	succeeded = hayate.StatusSucceeded
	failed    = hayate.StatusFailed
	timeout   = hayate.StatusTimeout
	abandoned = hayate.StatusAbandoned
	canceling = hayate.StatusCanceling
	canceled  = hayate.StatusCanceled
	// retrying is a status of tasks only: waiting for the next try.
	retrying hayate.Status = "retrying"
)

// workflowMoves is the state machine of a workflow. Events say who speaks (the
// workflow's owner, or a task), what it says, whether a task is active (act) or
// none is (dor), and what else is left to do.
var workflowMoves = moves{
	"workflow_requested":           {"": requested},
	"workflow_scheduled":           {"": scheduled, requested: scheduled, delayed: scheduled},
	"workflow_delayed":             {"": delayed, requested: delayed, scheduled: delayed},
	"workflow_running":             {"": running, requested: running, scheduled: running, delayed: running, pausing: running, paused: running, resuming: running},
	"workflow_running_wfdone":      {paused: succeeded},
	"workflow_pausing_act":         {running: pausing, pausing: pausing, resuming: pausing},
	"workflow_pausing_dor":         {requested: paused, scheduled: paused, delayed: paused, running: paused, pausing: paused, resuming: paused},
	"workflow_paused_act":          {running: pausing, pausing: pausing, resuming: pausing},
	"workflow_paused_dor":          {requested: paused, scheduled: paused, delayed: paused, running: paused, pausing: paused, resuming: paused},
	"workflow_resuming":            {pausing: resuming, paused: resuming},
	"workflow_resuming_wfdone":     {paused: succeeded},
	"workflow_succeeded":           {running: succeeded},
	"workflow_failed":              {"": failed, requested: failed, scheduled: failed, delayed: failed, running: failed, pausing: failed, paused: failed, resuming: failed, canceling: failed, succeeded: failed},
	"workflow_canceling_act":       {running: canceling, pausing: canceling, resuming: canceling, canceling: canceling},
	"workflow_canceling_dor":       {requested: canceled, scheduled: canceled, delayed: canceled, running: canceled, pausing: canceled, paused: canceled, resuming: canceled, canceling: canceled},
	"workflow_canceled_act":        {running: canceling, pausing: canceling, resuming: canceling, canceling: canceling},
	"workflow_canceled_dor":        {requested: canceled, scheduled: canceled, delayed: canceled, running: canceled, pausing: canceled, paused: canceled, resuming: canceled, canceling: canceled},
	"task_running":                 {paused: running, resuming: running},
	"task_pending_act":             {running: pausing, pausing: pausing, resuming: pausing, canceling: canceling},
	"task_pending_dor":             {running: paused, pausing: paused, resuming: paused, canceling: canceled},
	"task_pausing":                 {running: running},
	"task_paused_act":              {running: running, pausing: pausing, canceling: canceling},
	"task_paused_dor":              {running: paused, pausing: paused, canceling: canceled},
	"task_resuming":                {paused: running},
	"task_succeeded_act_incompl":   {running: running, pausing: pausing, resuming: running, canceling: canceling},
	"task_succeeded_act_compl":     {running: running, pausing: pausing, resuming: running, canceling: canceling},
	"task_succeeded_act_paused":    {running: pausing, pausing: pausing},
	"task_succeeded_act_canceled":  {running: canceling, pausing: pausing},
	"task_succeeded_dor_incompl":   {running: running, pausing: paused, resuming: running, canceling: canceled},
	"task_succeeded_dor_compl":     {running: succeeded, pausing: paused, resuming: succeeded, canceling: canceled},
	"task_succeeded_dor_paused":    {running: paused, pausing: paused, resuming: paused, canceling: canceled},
	"task_succeeded_dor_canceled":  {running: canceled, pausing: canceled, resuming: canceled, canceling: canceled},
	"task_failed_act":              {running: failed, pausing: failed, resuming: failed, canceling: canceling},
	"task_failed_dor":              {running: failed, pausing: failed, resuming: failed, canceling: canceled},
	"task_remediated_act_incompl":  {running: running, pausing: pausing, resuming: running, canceling: canceling},
	"task_remediated_act_compl":    {running: running, pausing: pausing, resuming: running, canceling: canceling},
	"task_remediated_act_paused":   {running: pausing, pausing: pausing},
	"task_remediated_act_canceled": {running: canceling, pausing: canceling},
	"task_remediated_dor_incompl":  {running: running, pausing: paused, resuming: running, canceling: canceled},
	"task_remediated_dor_compl":    {running: succeeded, pausing: paused, resuming: succeeded, canceling: canceled},
	"task_remediated_dor_paused":   {running: paused, pausing: paused, resuming: paused, canceling: canceled},
	"task_remediated_dor_canceled": {running: canceled, pausing: canceled, resuming: canceled, canceling: canceled},
	"task_canceling":               {running: canceling, pausing: canceling, resuming: canceling},
	"task_canceled_act":            {running: canceling, pausing: canceling, resuming: canceling, canceling: canceling},
	"task_canceled_dor":            {running: canceled, pausing: canceled, resuming: canceled, canceling: canceled},
	"task_retrying_act":            {pausing: pausing, canceling: canceling},
	"task_retrying_dor":            {pausing: paused, canceling: canceled},
}

// taskMoves is the state machine of a task with one action, and of engine commands.
var taskMoves = moves{
	"action_requested":        {"": requested},
	"action_scheduled":        {"": scheduled, requested: scheduled, delayed: scheduled},
	"action_delayed":          {"": delayed, requested: delayed, scheduled: delayed},
	"action_running":          {"": running, requested: running, scheduled: running, delayed: running, running: running, paused: running, resuming: running, retrying: running},
	"action_pending":          {"": pending, requested: pending, scheduled: pending, delayed: pending, running: pending},
	"action_pausing":          {requested: pausing, scheduled: pausing, delayed: pausing, running: pausing},
	"action_paused":           {requested: paused, scheduled: paused, delayed: paused, running: paused, pausing: paused, canceling: canceled},
	"action_resuming":         {pausing: resuming, paused: resuming},
	"action_succeeded":        {running: succeeded, pending: succeeded},
	"action_failed":           {requested: failed, scheduled: failed, delayed: failed, running: failed, pending: failed, pausing: failed, canceling: failed},
	"action_timeout":          {requested: timeout, scheduled: timeout, delayed: timeout, running: failed, pending: failed, pausing: failed, canceling: failed},
	"action_abandoned":        {requested: abandoned, scheduled: abandoned, delayed: abandoned, running: failed, pending: failed, pausing: failed, canceling: failed},
	"action_canceling":        {requested: canceling, scheduled: canceling, delayed: canceling, running: canceling, pausing: canceling, paused: canceling, resuming: canceling, retrying: canceling},
	"action_canceled":         {requested: canceled, scheduled: canceled, delayed: canceled, running: canceled, pending: canceled, pausing: canceled, paused: canceled, resuming: canceled, retrying: canceled, canceling: canceled},
	"task_continue_requested": {"": succeeded},
	"task_fail_requested":     {"": failed},
	"task_noop_requested":     {"": succeeded},
	"task_retry_requested":    {succeeded: retrying, failed: retrying},
	"workflow_canceling":      {retrying: canceled},
	"workflow_canceled":       {retrying: canceled},
}

// itemMoves is the state machine of a task with items. Events say whether another
// item is active, and what the others are like.
var itemMoves = moves{
	"action_pending_act_incomplete":     {running: pausing},
	"action_pending_dor_incomplete":     {running: paused, pausing: paused, canceling: canceled},
	"action_pending_dor_completed":      {running: paused, pausing: paused, canceling: canceled},
	"action_pending_dor_paused":         {running: paused, pausing: paused, canceling: canceled},
	"action_pending_dor_canceled":       {running: canceled, pausing: canceled, canceling: canceled},
	"action_pending_dor_failed":         {running: failed, pausing: failed, canceling: canceled},
	"action_paused_act_incomplete":      {running: pausing},
	"action_paused_dor_incomplete":      {running: paused, pausing: paused, canceling: canceled},
	"action_paused_dor_completed":       {running: paused, pausing: paused, canceling: canceled},
	"action_paused_dor_paused":          {running: paused, pausing: paused, canceling: canceled},
	"action_paused_dor_canceled":        {running: canceled, pausing: canceled, canceling: canceled},
	"action_paused_dor_failed":          {running: failed, pausing: failed, canceling: canceled},
	"action_succeeded_act_incomplete":   {running: running},
	"action_succeeded_dor_incomplete":   {running: running, pausing: paused, canceling: canceled},
	"action_succeeded_dor_completed":    {running: succeeded, pausing: succeeded, canceling: succeeded},
	"action_succeeded_dor_paused":       {running: paused, pausing: paused, canceling: canceled},
	"action_succeeded_dor_canceled":     {running: canceled, pausing: canceled, canceling: canceled},
	"action_succeeded_dor_failed":       {running: failed, pausing: failed, canceling: canceled},
	"action_failed_dor_incomplete":      {running: failed, pausing: failed, canceling: canceled},
	"action_timeout_dor_incomplete":     {running: failed, pausing: failed, canceling: canceled},
	"action_abandoned_dor_incomplete":   {running: failed, pausing: failed, canceling: canceled},
	"action_failed_dor_completed":       {running: failed, pausing: failed, canceling: canceled},
	"action_timeout_dor_completed":      {running: failed, pausing: failed, canceling: canceled},
	"action_abandoned_dor_completed":    {running: failed, pausing: failed, canceling: canceled},
	"action_failed_dor_paused":          {running: failed, pausing: failed, canceling: canceled},
	"action_timeout_dor_paused":         {running: failed, pausing: failed, canceling: canceled},
	"action_abandoned_dor_paused":       {running: failed, pausing: failed, canceling: canceled},
	"action_failed_dor_canceled":        {running: canceled, pausing: canceled, canceling: canceled},
	"action_timeout_dor_canceled":       {running: canceled, pausing: canceled, canceling: canceled},
	"action_abandoned_dor_canceled":     {running: canceled, pausing: canceled, canceling: canceled},
	"action_failed_dor_failed":          {running: failed, pausing: failed, canceling: canceled},
	"action_timeout_dor_failed":         {running: failed, pausing: failed, canceling: canceled},
	"action_abandoned_dor_failed":       {running: failed, pausing: failed, canceling: canceled},
	"action_canceled_act_incomplete":    {running: canceling},
	"action_canceled_dor_incomplete":    {running: canceled, pausing: canceled, canceling: canceled},
	"action_canceled_dor_completed":     {running: canceled, pausing: canceled, canceling: canceled},
	"action_canceled_dor_paused":        {running: canceled, pausing: canceled, canceling: canceled},
	"action_canceled_dor_canceled":      {running: canceled, pausing: canceled, canceling: canceled},
	"action_canceled_dor_failed":        {running: canceled, pausing: canceled, canceling: canceled},
	"workflow_pausing_act_incomplete":   {running: pausing},
	"workflow_pausing_dor_incomplete":   {running: paused},
	"workflow_paused_act_incomplete":    {running: pausing},
	"workflow_paused_dor_incomplete":    {running: paused},
	"workflow_canceling_act_incomplete": {running: canceling},
	"workflow_canceling_dor_incomplete": {running: canceled},
	"workflow_canceled_act_incomplete":  {running: canceling},
	"workflow_canceled_dor_incomplete":  {running: canceled},
}
